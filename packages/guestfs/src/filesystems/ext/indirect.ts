/**
 * The block pointers of ext2 and ext3: twelve direct ones, then blocks of pointers one, two and three levels deep.
 *
 * @see Linux Documentation/filesystems/ext4/ifork.rst, section "Direct/Indirect Block Addressing"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import type { BlockMap, BlockRun } from './block-map.ts'
import type { Ext } from './ext.ts'
import type { Inode } from './inode.ts'

const DIRECT = 12

export const indirectMap = (ext: Ext, inode: Inode): BlockMap => {
  const perBlock = ext.sb.blockBytes / 4
  const root = new Fields(inode.block, `inode ${inode.ino}`)
  return async (logical, options) => {
    if (logical < DIRECT) return runOf(ext, root, logical, DIRECT)
    let index = logical - DIRECT
    for (let level = 1; level <= 3; level++) {
      const span = perBlock ** level
      if (index < span)
        return await descend(ext, { root: root.u32((DIRECT + level - 1) * 4), level, inode }, index, options)
      index -= span
    }
    return { kind: 'hole', physical: 0, blocks: Infinity }
  }
}

interface Start {
  readonly root: number
  readonly level: number
  readonly inode: Inode
}

const descend = async (
  ext: Ext,
  { root, level, inode }: Start,
  index: number,
  options: AbortOptions,
): Promise<BlockRun> => {
  const perBlock = ext.sb.blockBytes / 4
  let pointer = root
  let rest = index
  for (let depth = level; ; depth--) {
    const span = perBlock ** depth
    if (pointer === 0) return { kind: 'hole', physical: 0, blocks: span - rest }
    const where = `inode ${inode.ino}, pointer block ${pointer}`
    checkBlock(ext, pointer, 1, where)
    const fields = new Fields(
      await ext.disk.bytes(pointer * ext.sb.blockBytes, ext.sb.blockBytes, where, options),
      where,
    )
    const childSpan = span / perBlock
    const slot = Math.floor(rest / childSpan)
    if (depth === 1) return runOf(ext, fields, slot, perBlock)
    pointer = fields.u32(slot * 4)
    rest -= slot * childSpan
  }
}

/** Pointers from `slot` on that name blocks in a row, or are all empty. */
const runOf = (ext: Ext, pointers: Fields, slot: number, slots: number): BlockRun => {
  const physical = pointers.u32(slot * 4)
  const step = physical === 0 ? 0 : 1
  let blocks = 1
  while (slot + blocks < slots && pointers.u32((slot + blocks) * 4) === physical + blocks * step) blocks++
  if (physical === 0) return { kind: 'hole', physical: 0, blocks }
  checkBlock(ext, physical, blocks, pointers.where)
  return { kind: 'data', physical, blocks }
}

const checkBlock = ({ sb }: Ext, block: number, blocks: number, where: string): void => {
  if (block < sb.firstDataBlock || block + blocks > sb.blocks)
    throw corrupt(where, `pointers below block ${sb.blocks}`, `${block}+${blocks}`)
}
