/** Nodes of the B-trees that everything in btrfs is kept in. @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, section "B-tree" @module */
import type { AbortOptions } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { corrupt } from '../../errors.ts'
import { crc32c } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { lastIndex } from '../../last-index.ts'
import type { WarningLog } from '../../warnings.ts'
import { compareKeys, keyAt } from './keys.ts'
import type { Key } from './keys.ts'

const HEADER_BYTES = 101
const ITEM_BYTES = 25
const POINTER_BYTES = 33
const MAX_LEVEL = 7

export interface Item {
  readonly key: Key
  readonly data: Fields
}

/** Where trees are read. */
export interface TreeStore {
  /** Logical addresses. */
  readonly disk: CachedDisk
  readonly nodeBytes: number
  readonly isCrc32c: boolean
  readonly warnings: WarningLog
}

export interface Node {
  readonly fields: Fields
  readonly level: number
  readonly items: number
}

/** @param level as the parent says @throws GranaryError `GRANARY_CORRUPT` */
export const readNode = async (
  store: TreeStore,
  address: number,
  level: number,
  where: string,
  options: AbortOptions,
): Promise<Node> => {
  options.signal?.throwIfAborted()
  const at = `${where}, node at ${address}`
  const fields = new Fields(await store.disk.bytes(address, store.nodeBytes, at, options), at)
  if (fields.u64(48) !== address) throw corrupt(at, 'its own address', fields.u64(48))
  if (store.isCrc32c && crc32c(fields.slice(32, fields.length - 32)) !== fields.u32(0))
    store.warnings.add(at, 'its checksum is wrong')
  const items = fields.u32(96)
  const found = fields.u8(100)
  const capacity = Math.floor((store.nodeBytes - HEADER_BYTES) / (found === 0 ? ITEM_BYTES : POINTER_BYTES))
  if (found !== level || level > MAX_LEVEL) throw corrupt(at, `level ${level}`, found)
  if (items > capacity || (items === 0 && level > 0)) throw corrupt(at, `1 to ${capacity} items`, items)
  return { fields, level, items }
}

/** Index of the last entry whose key is at most `key`, or -1. */
export const lastAtMost = ({ fields, level, items }: Node, key: Key): number => {
  const size = level === 0 ? ITEM_BYTES : POINTER_BYTES
  return lastIndex(items, index => compareKeys(keyAt(fields, HEADER_BYTES + index * size), key) <= 0)
}

/** An item of a leaf. */
export const itemIn = ({ fields }: Node, index: number): Item => {
  const at = HEADER_BYTES + index * ITEM_BYTES
  // Offsets count from the end of the header.
  const bytes = fields.slice(HEADER_BYTES + fields.u32(at + 17), fields.u32(at + 21))
  return { key: keyAt(fields, at), data: new Fields(bytes, fields.where) }
}

/** Where a child of an inner node is. */
export const childIn = ({ fields }: Node, index: number): number =>
  fields.u64(HEADER_BYTES + index * POINTER_BYTES + 17)
