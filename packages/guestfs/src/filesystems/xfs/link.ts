/** Targets of symbolic links. @see XFS Algorithms & Data Structures, chapter "Symbolic Links" @module */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { nameOfBytes } from '../../format/names.ts'
import type { Name } from '../../format/names.ts'
import { forkContent } from './content.ts'
import { blockMapOf } from './block-map.ts'
import { FORMAT, blockOffset } from './inode.ts'
import type { Inode, Xfs } from './inode.ts'

const MAX_TARGET_BYTES = 1024
const HEADER_BYTES = 56
const MAGIC = 'XSLM'

export const readTarget = async (xfs: Xfs, inode: Inode, options: AbortOptions): Promise<Name> => {
  const { sizeBytes } = inode.stat
  const where = `link ${inode.ino}`
  if (sizeBytes === 0 || sizeBytes > MAX_TARGET_BYTES)
    throw corrupt(where, `a target of 1 to ${MAX_TARGET_BYTES} bytes`, sizeBytes)
  if (inode.data.format === FORMAT.local || xfs.sb.version === 4) {
    const target = new Uint8Array(sizeBytes)
    await forkContent(xfs, inode.data, sizeBytes, where).read(0, target, options)
    return nameOfBytes(target)
  }
  return nameOfBytes(await readExtents(xfs, inode, where, options))
}

/** Version 5 begins each extent of a link, not each block, with a header. */
const readExtents = async (xfs: Xfs, inode: Inode, where: string, options: AbortOptions): Promise<Uint8Array> => {
  const { blockBytes } = xfs.sb
  const { sizeBytes } = inode.stat
  const map = blockMapOf(xfs, inode.data, where)
  const target = new Uint8Array(sizeBytes)
  for (let done = 0, logical = 0; done < sizeBytes;) {
    const { kind, block, blocks } = await map(logical, options)
    if (kind !== 'data') throw corrupt(where, 'a block', kind)
    const length = Math.min(sizeBytes - done, blocks * blockBytes - HEADER_BYTES)
    const bytes = await xfs.disk.bytes(blockOffset(xfs, block, where), HEADER_BYTES + length, where, options)
    const magic = Buffer.from(bytes.subarray(0, 4)).toString('latin1')
    if (magic !== MAGIC) throw corrupt(where, `magic ${MAGIC}`, magic)
    target.set(bytes.subarray(HEADER_BYTES), done)
    done += length
    logical += blocks
  }
  return target
}
