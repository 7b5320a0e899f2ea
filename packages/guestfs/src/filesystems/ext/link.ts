/** Targets of symbolic links: in the inode where they are short, else in a block. @module */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { nameOfBytes } from '../../format/names.ts'
import type { Name } from '../../format/names.ts'
import { contentOf, inlineContent } from './content.ts'
import type { Ext } from './ext.ts'
import { FLAG } from './inode.ts'
import type { Inode } from './inode.ts'
import { INCOMPAT } from './superblock.ts'

/** PATH_MAX of Linux. */
const MAX_TARGET_BYTES = 4096

export const readTarget = async (ext: Ext, inode: Inode, options: AbortOptions): Promise<Name> => {
  const { sizeBytes } = inode.stat
  if (sizeBytes === 0 || sizeBytes > MAX_TARGET_BYTES)
    throw corrupt(`link ${inode.ino}`, `a target of 1 to ${MAX_TARGET_BYTES} bytes`, sizeBytes)
  if ((inode.flags & FLAG.inlineData) !== 0) return nameOfBytes(inlineContent(inode))
  if (isFast(ext, inode)) return nameOfBytes(inode.block.subarray(0, sizeBytes))
  const target = new Uint8Array(sizeBytes)
  await contentOf(ext, inode).read(0, target, options)
  return nameOfBytes(target)
}

/** Short, and without blocks of its own: the block of its attributes doesn't count. */
const isFast = ({ sb }: Ext, inode: Inode): boolean => {
  if (inode.stat.sizeBytes >= inode.block.length || (inode.flags & FLAG.extents) !== 0) return false
  const hasValueInodes = (sb.incompat & INCOMPAT.eaInode) !== 0
  const ownBytes = (inode.stat.allocatedBytes ?? 0) - (inode.attributeBlock === 0 ? 0 : sb.clusterBytes)
  return hasValueInodes || ownBytes <= 0
}
