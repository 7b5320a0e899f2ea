/**
 * The extent tree of ext4.
 *
 * Each node says how deep it is, and each level must be one less: no loop is possible. The keys of a node must
 * ascend, and those of a child lie between its own key and the next: no block can be mapped twice.
 *
 * @see Linux Documentation/filesystems/ext4/ifork.rst, section "Extent Tree"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { lastIndex } from '../../last-index.ts'
import type { BlockMap, BlockRun } from './block-map.ts'
import type { Ext } from './ext.ts'
import type { Inode } from './inode.ts'

const MAGIC = 0xf30a
const ENTRY_BYTES = 12
const MAX_DEPTH = 5

/** A length above this is that of blocks reserved and not written. */
const MAX_WRITTEN = 32_768

interface TreeNode {
  readonly depth: number
  readonly fields: Fields
  readonly entries: number
  /** Keys in the node are in [from, to). */
  readonly from: number
  readonly to: number
}

export const extentMap = (ext: Ext, inode: Inode): BlockMap => {
  const root = parseNode(ext, new Fields(inode.block, `inode ${inode.ino}, extent root`), undefined, 0, Infinity)
  let leaf: TreeNode | undefined
  return async (logical, options) => {
    if (leaf === undefined || logical < leaf.from || logical >= leaf.to)
      leaf = await descend(ext, inode, root, logical, options)
    return runInLeaf(ext, leaf, logical)
  }
}

const key = (node: TreeNode, index: number): number => node.fields.u32(ENTRY_BYTES * (index + 1))

const descend = async (
  ext: Ext,
  inode: Inode,
  root: TreeNode,
  logical: number,
  options: AbortOptions,
): Promise<TreeNode> => {
  let node = root
  while (node.depth > 0) {
    const index = lastAtMost(node, logical)
    // Before the first key there is only a hole: the first child answers that too.
    const at = Math.max(index, 0)
    const entry = ENTRY_BYTES * (at + 1)
    const block = node.fields.u32(entry + 4) + node.fields.u16(entry + 8) * 2 ** 32
    const from = at === 0 ? node.from : key(node, at)
    const to = at + 1 < node.entries ? key(node, at + 1) : node.to
    const where = `inode ${inode.ino}, extent node at block ${block}`
    const bytes = await ext.disk.bytes(block * ext.sb.blockBytes, ext.sb.blockBytes, where, options)
    const fields = new Fields(bytes, where)
    node = parseNode(ext, fields, node.depth - 1, from, to)
    checkNode(ext, inode, fields)
  }
  return node
}

/** Index of the last entry whose key is at most `logical`, or -1. */
const lastAtMost = (node: TreeNode, logical: number): number =>
  lastIndex(node.entries, index => key(node, index) <= logical)

const parseNode = (ext: Ext, fields: Fields, depth: number | undefined, from: number, to: number): TreeNode => {
  if (fields.u16(0) !== MAGIC) throw corrupt(fields.where, `magic ${MAGIC}`, fields.u16(0))
  const node: TreeNode = { depth: fields.u16(6), fields, entries: fields.u16(2), from, to }
  const capacity = Math.floor(fields.length / ENTRY_BYTES) - 1
  if (node.entries > capacity) throw corrupt(fields.where, `at most ${capacity} entries`, node.entries)
  if (depth === undefined ? node.depth > MAX_DEPTH : node.depth !== depth)
    throw corrupt(fields.where, `depth ${depth ?? `at most ${MAX_DEPTH}`}`, node.depth)
  if (node.entries === 0 && (depth !== undefined || node.depth > 0)) throw corrupt(fields.where, 'some entries', 0)
  let end = from
  for (let index = 0; index < node.entries; index++) {
    const start = key(node, index)
    if (start < end) throw corrupt(fields.where, `a key of at least ${end}`, start)
    end = start + (node.depth > 0 ? 1 : checkedExtent(ext, node, index).blocks)
  }
  if (end > to) throw corrupt(fields.where, `keys below ${to}`, end)
  return node
}

const checkedExtent = ({ sb }: Ext, node: TreeNode, index: number): BlockRun => {
  const entry = ENTRY_BYTES * (index + 1)
  const length = node.fields.u16(entry + 4)
  const physical = node.fields.u32(entry + 8) + node.fields.u16(entry + 6) * 2 ** 32
  const isWritten = length <= MAX_WRITTEN
  const blocks = isWritten ? length : length - MAX_WRITTEN
  if (blocks === 0) throw corrupt(node.fields.where, 'an extent of some blocks', 0)
  if (physical + blocks > sb.blocks || physical < sb.firstDataBlock)
    throw corrupt(node.fields.where, `an extent below block ${sb.blocks}`, `${physical}+${blocks}`)
  return { kind: isWritten ? 'data' : 'zero', physical, blocks }
}

const runInLeaf = (ext: Ext, leaf: TreeNode, logical: number): BlockRun => {
  const index = lastAtMost(leaf, logical)
  if (index >= 0) {
    const extent = checkedExtent(ext, leaf, index)
    const skip = logical - key(leaf, index)
    if (skip < extent.blocks) return { ...extent, physical: extent.physical + skip, blocks: extent.blocks - skip }
  }
  const end = index + 1 < leaf.entries ? key(leaf, index + 1) : leaf.to
  return { kind: 'hole', physical: 0, blocks: end - logical }
}

/** The checksum stands behind as many entries as fit. */
const checkNode = ({ warnings }: Ext, { checksumSeed }: Inode, fields: Fields): void => {
  if (checksumSeed === undefined) return
  const tail = ENTRY_BYTES * (fields.u16(4) + 1)
  if (tail + 4 > fields.length) warnings.add(fields.where, `room for ${fields.u16(4)} entries is more than there is`)
  else if (crc32cRaw(checksumSeed, fields.slice(0, tail)) !== fields.u32(tail))
    warnings.add(fields.where, 'its checksum is wrong')
}
