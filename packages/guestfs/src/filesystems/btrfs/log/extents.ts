/**
 * Extents of files: those of the log take the place of what they overlap.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, section "EXTENT_DATA"
 * @module
 */
import type { Bytes } from '@granary/core'
import { corrupt } from '../../../errors.ts'
import type { Fields } from '../../../format/fields.ts'
import { ITEM } from '../keys.ts'
import type { Item } from '../tree-node.ts'
import { itemAtMost, itemsOfType } from '../tree-reader.ts'
import { inodeKey } from './links.ts'
import { copyOf, find, put, remove } from './replay.ts'
import type { Replay } from './replay.ts'

const PLAIN_BYTES_AT = 8
const TYPE_AT = 20
const ADDRESS_AT = 21
const OFFSET_AT = 37
const LENGTH_AT = 45
const INLINE = 0

/** Of the file, an inline extent as the sectors it fills. */
const lengthOf = (extent: Fields, sectorBytes: number): number =>
  extent.u8(TYPE_AT) === INLINE
    ? Math.ceil(extent.u64(PLAIN_BYTES_AT) / sectorBytes) * sectorBytes
    : extent.u64(LENGTH_AT)

export const replayExtent = async (replay: Replay, { key, data }: Item): Promise<void> => {
  const ino = key.object
  if ((await find(replay, inodeKey(ino))) === undefined) throw corrupt(`log tree, inode ${ino}`, 'an inode', 'none')
  const isInline = data.u8(TYPE_AT) === INLINE
  const present = await find(replay, key)
  if (!isInline && present !== undefined && Buffer.compare(present.bytes, data.bytes) === 0) return
  const start = Number(key.offset)
  if (!Number.isSafeInteger(start)) throw corrupt(data.where, 'an extent below 2^53', key.offset)
  await dropExtents(replay, ino, start, start + lengthOf(data, replay.sectorBytes))
  replay.rewritten.add(ino)
  put(replay, key, data.bytes)
}

/** Frees a range of a file: extents that reach out of it keep what is outside. */
export const dropExtents = async (replay: Replay, ino: bigint, start: number, end: number): Promise<void> => {
  const { store, tree, sectorBytes, options } = replay
  const own = { object: ino, type: ITEM.extentData }
  const before = await itemAtMost(store, tree, { ...own, offset: BigInt(start) }, options)
  const isOwn = before?.key.object === ino && before.key.type === ITEM.extentData
  const overlapping: { item: Item; from: number; to: number }[] = []
  const first = { ...own, offset: isOwn ? before.key.offset : BigInt(start) }
  for await (const item of itemsOfType(store, tree, first, options)) {
    const from = Number(item.key.offset)
    const to = from + lengthOf(item.data, sectorBytes)
    if (from >= end) break
    if (to > start) overlapping.push({ item, from, to })
  }
  for (const { item, from, to } of overlapping) {
    remove(replay, item.key)
    replay.rewritten.add(ino)
    if (item.data.u8(TYPE_AT) === INLINE) continue
    if (from < start) put(replay, item.key, partOf(item.data, 0, start - from))
    if (to > end) put(replay, { ...item.key, offset: BigInt(end) }, partOf(item.data, end - from, to - end))
  }
}

const partOf = (extent: Fields, skip: number, length: number): Bytes => {
  const { bytes, view } = copyOf(extent)
  // A hole has no place to count from.
  if (extent.big64(ADDRESS_AT) !== 0n) view.setBigUint64(OFFSET_AT, extent.big64(OFFSET_AT) + BigInt(skip), true)
  view.setBigUint64(LENGTH_AT, BigInt(length), true)
  return bytes
}

/** Bytes that a file occupies: all but holes. */
export const countOccupied = async (replay: Replay, ino: bigint): Promise<number> => {
  const { store, tree, options } = replay
  let bytes = 0
  for await (const { data } of itemsOfType(store, tree, { object: ino, type: ITEM.extentData }, options)) {
    if (data.u8(TYPE_AT) === INLINE) bytes += data.u64(PLAIN_BYTES_AT)
    else if (data.u64(ADDRESS_AT) !== 0) bytes += data.u64(LENGTH_AT)
  }
  return bytes
}
