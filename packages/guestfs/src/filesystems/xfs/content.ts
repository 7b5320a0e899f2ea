/** The content of a fork as a disk. @module */
import type { DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import { corrupt } from '../../errors.ts'
import { blockMapOf } from './block-map.ts'
import type { BlockMap } from './block-map.ts'
import { FORMAT, blockOffset } from './inode.ts'
import type { Fork, Xfs } from './inode.ts'

/** @param sizeBytes as the inode says */
export const forkContent = (xfs: Xfs, fork: Fork, sizeBytes: number, where: string): DiskReader => {
  if (fork.format === FORMAT.local) {
    if (sizeBytes > fork.bytes.length)
      throw corrupt(where, `at most ${fork.bytes.length} bytes in the inode`, sizeBytes)
    const { bytes } = fork
    return mappedDisk({
      sizeBytes,
      blockBytes: 1,
      where,
      locate: offset => ({ kind: 'bytes', length: sizeBytes - offset, bytes: bytes.subarray(offset) }),
    })
  }
  return mappedBlocks(xfs, blockMapOf(xfs, fork, where), sizeBytes, where)
}

/** Blocks of a fork in their logical order. Reflinked blocks may come more than once: only a file's extents bound it. */
export const mappedBlocks = (xfs: Xfs, map: BlockMap, sizeBytes: number, where: string): DiskReader => {
  const { blockBytes } = xfs.sb
  return mappedDisk({
    sizeBytes,
    blockBytes,
    where,
    asksBelow: false,
    async locate(offset, abort) {
      const logical = Math.floor(offset / blockBytes)
      const skip = offset - logical * blockBytes
      const { kind, block, blocks } = await map(logical, abort)
      const length = Math.min(blocks * blockBytes - skip, sizeBytes - offset)
      if (kind !== 'data') return { kind, length }
      return { kind: 'disk', length, disk: xfs.disk, offset: blockOffset(xfs, block, where) + skip }
    },
  })
}
