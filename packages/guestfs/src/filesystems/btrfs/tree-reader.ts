/**
 * The B-trees that everything in btrfs is kept in.
 *
 * Each node says how high it is, and a child must be one lower: no loop is possible.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, section "B-tree"
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { corrupt } from '../../errors.ts'
import { crc32c } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { lastIndex } from '../../last-index.ts'
import type { WarningLog } from '../../warnings.ts'

const HEADER_BYTES = 101
const ITEM_BYTES = 25
const POINTER_BYTES = 33
const MAX_LEVEL = 7

export interface Key {
  readonly object: bigint
  readonly type: number
  readonly offset: bigint
}

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

export interface TreeRoot {
  readonly address: number
  readonly level: number
  /** Names the tree in errors. */
  readonly where: string
}

const compareKeys = (a: Key, b: Key): number => {
  if (a.object !== b.object) return a.object < b.object ? -1 : 1
  if (a.type !== b.type) return a.type - b.type
  return a.offset === b.offset ? 0 : a.offset < b.offset ? -1 : 1
}

const keyAt = (fields: Fields, at: number): Key => ({
  object: fields.big64(at),
  type: fields.u8(at + 8),
  offset: fields.big64(at + 9),
})

interface Node {
  readonly fields: Fields
  readonly level: number
  readonly items: number
}

const readNode = async (
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
const lastAtMost = ({ fields, level, items }: Node, key: Key): number => {
  const size = level === 0 ? ITEM_BYTES : POINTER_BYTES
  return lastIndex(items, index => compareKeys(keyAt(fields, HEADER_BYTES + index * size), key) <= 0)
}

/** Items from the first that is at least `from` on, in order. */
export async function* itemsFrom(
  store: TreeStore,
  root: TreeRoot,
  from: Key,
  options: AbortOptions,
): AsyncGenerator<Item, void, undefined> {
  const node = await readNode(store, root.address, root.level, root.where, options)
  let last: Key | undefined
  for await (const item of itemsOf(store, node, from, root.where, options)) {
    // A child that is reached twice would begin again: that is how loops sideways end.
    if (last !== undefined && compareKeys(item.key, last) <= 0)
      throw corrupt(item.data.where, 'ascending keys', 'others')
    last = item.key
    yield item
  }
}

async function* itemsOf(
  store: TreeStore,
  node: Node,
  from: Key,
  where: string,
  options: AbortOptions,
): AsyncGenerator<Item, void, undefined> {
  const { fields, level, items } = node
  const first = Math.max(lastAtMost(node, from), 0)
  for (let index = first; index < items; index++) {
    if (level === 0) {
      const at = HEADER_BYTES + index * ITEM_BYTES
      const key = keyAt(fields, at)
      // Offsets count from the end of the header.
      if (compareKeys(key, from) >= 0)
        yield {
          key,
          data: new Fields(fields.slice(HEADER_BYTES + fields.u32(at + 17), fields.u32(at + 21)), fields.where),
        }
    } else {
      const address = fields.u64(HEADER_BYTES + index * POINTER_BYTES + 17)
      yield* itemsOf(store, await readNode(store, address, level - 1, where, options), from, where, options)
    }
  }
}

/** The item whose key is the last at most `key`, or undefined. Its object may be another. */
export const itemAtMost = async (
  store: TreeStore,
  root: TreeRoot,
  key: Key,
  options: AbortOptions,
): Promise<Item | undefined> => {
  let node = await readNode(store, root.address, root.level, root.where, options)
  for (;;) {
    const index = lastAtMost(node, key)
    if (index < 0) return undefined
    const { fields, level } = node
    if (level === 0) {
      const at = HEADER_BYTES + index * ITEM_BYTES
      const bytes: Bytes = fields.slice(HEADER_BYTES + fields.u32(at + 17), fields.u32(at + 21))
      return { key: keyAt(fields, at), data: new Fields(bytes, fields.where) }
    }
    const address = fields.u64(HEADER_BYTES + index * POINTER_BYTES + 17)
    node = await readNode(store, address, level - 1, root.where, options)
  }
}
