/** The content of a file as a disk. @module */
import type { Bytes, DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import { corrupt } from '../../errors.ts'
import { inInode, isInlineData } from './attribute-entries.ts'
import { blockMapOf } from './block-map.ts'
import type { Ext } from './ext.ts'
import { FLAG } from './inode.ts'
import type { Inode } from './inode.ts'

export const contentOf = (ext: Ext, inode: Inode): DiskReader => {
  const { sb, disk } = ext
  const { sizeBytes } = inode.stat
  const where = `inode ${inode.ino}`
  if ((inode.flags & FLAG.inlineData) !== 0) {
    const bytes = inlineContent(inode)
    return mappedDisk({
      sizeBytes,
      blockBytes: 1,
      where,
      locate: offset => ({ kind: 'bytes', length: sizeBytes - offset, bytes: bytes.subarray(offset) }),
    })
  }
  const map = blockMapOf(ext, inode)
  const { blockBytes } = sb
  return mappedDisk({
    sizeBytes,
    blockBytes,
    where,
    asksBelow: false,
    maxDataBytes: sb.blocks * blockBytes,
    async locate(offset, abort) {
      const logical = Math.floor(offset / blockBytes)
      const skip = offset - logical * blockBytes
      const { kind, physical, blocks } = await map(logical, abort)
      const length = Math.min(blocks * blockBytes - skip, sizeBytes - offset)
      return kind === 'data' ? { kind: 'disk', length, disk, offset: physical * blockBytes + skip } : { kind, length }
    },
  })
}

/** The 60 bytes where pointers would be, and the rest in the attribute `system.data`. */
export const inlineContent = (inode: Inode): Bytes => {
  const { sizeBytes } = inode.stat
  if (sizeBytes <= inode.block.length) return inode.block.slice(0, sizeBytes)
  const rest = inInode(inode).find(isInlineData)?.value() ?? new Uint8Array(0)
  const whole = Uint8Array.from([...inode.block, ...rest])
  if (whole.length < sizeBytes)
    throw corrupt(`inode ${inode.ino}`, `at most ${whole.length} bytes of inline data`, sizeBytes)
  return whole.subarray(0, sizeBytes)
}
