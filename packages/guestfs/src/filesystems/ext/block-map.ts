/** Where the blocks of a file lie. @module */
import type { AbortOptions } from '@granary/core'
import { unsupported } from '../../errors.ts'
import { extentMap } from './extents.ts'
import { indirectMap } from './indirect.ts'
import { FLAG } from './inode.ts'
import type { Inode } from './inode.ts'
import type { Ext } from './ext.ts'

/** Blocks in a row that lie in a row, are only reserved (`zero`), or aren't there (`hole`). */
export interface BlockRun {
  readonly kind: 'data' | 'zero' | 'hole'
  /** On the volume, for `data`. */
  readonly physical: number
  /** From the block asked for on. May be Infinity for the hole at the end. */
  readonly blocks: number
}

/** Finds the run that a logical block begins or is inside of. */
export type BlockMap = (logical: number, options: AbortOptions) => Promise<BlockRun>

export const blockMapOf = (ext: Ext, inode: Inode): BlockMap => {
  if ((inode.flags & FLAG.inlineData) !== 0)
    throw unsupported(`inode ${inode.ino}`, 'has no blocks: its data is inline')
  return (inode.flags & FLAG.extents) === 0 ? indirectMap(ext, inode) : extentMap(ext, inode)
}
