/**
 * Where the blocks of a fork lie: a list of extents in the inode, or a B-tree of them.
 *
 * Each node says how high it is, and a child must be one lower: no loop is possible. The keys of a child lie between
 * its own key and the next: no block is mapped twice.
 *
 * @see XFS Algorithms & Data Structures, sections "Extent List" and "B+tree Extent List"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { lastIndex } from '../../last-index.ts'
import { FORMAT, blockOffset } from './inode.ts'
import type { Fork, Xfs } from './inode.ts'
import { isSumRight } from './superblock.ts'

const RECORD_BYTES = 16
const MAX_LEVELS = 9
const NODE = { 4: { magic: 'BMAP', headerBytes: 24 }, 5: { magic: 'BMA3', headerBytes: 72 } } as const
const CRC_OFFSET = 64

interface BlockRun {
  readonly kind: 'data' | 'zero' | 'hole'
  /** Number of the first block, for `data`; all are in one group. */
  readonly block: number
  /** From the block asked for on. May be Infinity for the hole at the end. */
  readonly blocks: number
}

export type BlockMap = (logical: number, options: AbortOptions) => Promise<BlockRun>

interface Extent extends BlockRun {
  readonly start: number
}

interface Leaf {
  readonly extents: readonly Extent[]
  readonly from: number
  readonly to: number
}

export const blockMapOf = (xfs: Xfs, fork: Fork, where: string): BlockMap => {
  if (fork.format === FORMAT.extents) {
    if (fork.extents * RECORD_BYTES > fork.bytes.length)
      throw corrupt(where, `at most ${Math.floor(fork.bytes.length / RECORD_BYTES)} extents in the inode`, fork.extents)
    const fields = new Fields(fork.bytes, where, 'big')
    const leaf = parseLeaf(xfs, fields, 0, fork.extents, { from: 0, to: Infinity })
    return async logical => runIn(leaf, logical)
  }
  if (fork.format !== FORMAT.btree) throw corrupt(where, 'a list or tree of extents', `format ${fork.format}`)
  let leaf: Leaf | undefined
  return async (logical, options) => {
    if (leaf === undefined || logical < leaf.from || logical >= leaf.to)
      leaf = await descend(xfs, fork, logical, where, options)
    return runIn(leaf, logical)
  }
}

interface TreeNode {
  readonly fields: Fields
  readonly level: number
  readonly records: number
  /** Where keys and pointers begin. */
  readonly keys: number
  readonly pointers: number
  readonly from: number
  readonly to: number
}

const descend = async (xfs: Xfs, fork: Fork, logical: number, where: string, options: AbortOptions): Promise<Leaf> => {
  const root = new Fields(fork.bytes, `${where}, root of extents`, 'big')
  const capacity = Math.floor((root.length - 4) / 16)
  let node: TreeNode = {
    fields: root,
    level: root.u16(0),
    records: root.u16(2),
    keys: 4,
    pointers: 4 + capacity * 8,
    from: 0,
    to: Infinity,
  }
  if (node.level < 1 || node.level > MAX_LEVELS || node.records < 1 || node.records > capacity)
    throw corrupt(root.where, `1 to ${MAX_LEVELS} levels, 1 to ${capacity} records`, `${node.level}, ${node.records}`)
  for (;;) {
    const child = await childOf(xfs, node, logical, where, options)
    if (child.level === 0) return parseLeaf(xfs, child.fields, child.keys, child.records, child)
    node = child
  }
}

const childOf = async (
  xfs: Xfs,
  node: TreeNode,
  logical: number,
  where: string,
  options: AbortOptions,
): Promise<TreeNode> => {
  const { sb } = xfs
  let index = 0
  while (index + 1 < node.records && node.fields.u64(node.keys + (index + 1) * 8) <= logical) index++
  const from = index === 0 ? node.from : node.fields.u64(node.keys + index * 8)
  const to = index + 1 < node.records ? node.fields.u64(node.keys + (index + 1) * 8) : node.to
  const block = node.fields.u64(node.pointers + index * 8)
  const at = `${where}, node of extents at block ${block}`
  const bytes = await xfs.disk.bytes(blockOffset(xfs, block, at), sb.blockBytes, at, options)
  const fields = new Fields(bytes, at, 'big')
  const { magic, headerBytes } = NODE[sb.version]
  if (fields.ascii(0, 4) !== magic) throw corrupt(at, `magic ${magic}`, fields.ascii(0, 4))
  if (sb.version === 5 && !isSumRight(fields, CRC_OFFSET)) xfs.warnings.add(at, 'its checksum is wrong')
  const level = fields.u16(4)
  const records = fields.u16(6)
  const capacity = Math.floor((sb.blockBytes - headerBytes) / 16)
  if (level !== node.level - 1) throw corrupt(at, `level ${node.level - 1}`, level)
  if (records < 1 || records > capacity || from < node.from || to > node.to || from >= to)
    throw corrupt(
      at,
      `1 to ${capacity} records between ${node.from} and ${node.to}`,
      `${records} from ${from} to ${to}`,
    )
  return { fields, level, records, keys: headerBytes, pointers: headerBytes + capacity * 8, from, to }
}

const parseLeaf = (
  xfs: Xfs,
  fields: Fields,
  start: number,
  count: number,
  range: { from: number; to: number },
): Leaf => {
  const extents: Extent[] = []
  let end = range.from
  for (let index = 0; index < count; index++) {
    const high = fields.big64(start + index * RECORD_BYTES)
    const low = fields.big64(start + index * RECORD_BYTES + 8)
    const extent: Extent = {
      kind: high >> 63n === 1n ? 'zero' : 'data',
      start: Number((high >> 9n) & ((1n << 54n) - 1n)),
      block: Number(((high & 0x1ffn) << 43n) | (low >> 21n)),
      blocks: Number(low & 0x1fffffn),
    }
    if (extent.start < end || extent.blocks === 0) throw corrupt(fields.where, `an extent from ${end} on`, extent.start)
    end = extent.start + extent.blocks
    blockOffset(xfs, extent.block, fields.where)
    blockOffset(xfs, extent.block + extent.blocks - 1, fields.where)
    extents.push(extent)
  }
  if (end > range.to) throw corrupt(fields.where, `extents below ${range.to}`, end)
  return { extents, from: range.from, to: range.to }
}

const runIn = ({ extents, to }: Leaf, logical: number): BlockRun => {
  const index = lastIndex(extents.length, at => (extents[at] as Extent).start <= logical)
  const extent = extents[index]
  const skip = extent === undefined ? 0 : logical - extent.start
  if (extent !== undefined && skip < extent.blocks)
    return { kind: extent.kind, block: extent.block + skip, blocks: extent.blocks - skip }
  return { kind: 'hole', block: 0, blocks: (extents[index + 1]?.start ?? to) - logical }
}
