/**
 * Items of B-trees, with what a replayed log changed in them.
 *
 * Each node says how high it is, and a child must be one lower: no loop is possible.
 *
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import type { Fields } from '../../format/fields.ts'
import { compareKeys, keyBefore } from './keys.ts'
import type { Key } from './keys.ts'
import type { Change, TreeChanges } from './tree-changes.ts'
import { childIn, itemIn, lastAtMost, readNode } from './tree-node.ts'
import type { Item, Node, TreeStore } from './tree-node.ts'

export interface TreeRoot {
  readonly address: number
  readonly level: number
  /** Names the tree in errors. */
  readonly where: string
  /** What the log did to it. */
  readonly changes?: TreeChanges
}

/** Items from the first that is at least `from` on, in order. */
export async function* itemsFrom(
  store: TreeStore,
  root: TreeRoot,
  from: Key,
  options: AbortOptions,
): AsyncGenerator<Item, void, undefined> {
  const changes = root.changes?.from(from)
  let change = nextOf(changes)
  for await (const item of storedItems(store, root, from, options)) {
    for (; change !== undefined && compareKeys(change.key, item.key) < 0; change = nextOf(changes))
      if (isItem(change)) yield change
    // Its change, which comes next, stands for it.
    if (change === undefined || compareKeys(change.key, item.key) !== 0) yield item
  }
  for (; change !== undefined; change = nextOf(changes)) if (isItem(change)) yield change
}

const nextOf = (changes: Generator<Change, void, undefined> | undefined): Change | undefined =>
  changes?.next().value ?? undefined

const isItem = (change: Change): change is Item => change.data !== undefined

/** Items of one object and type from an offset on. */
export async function* itemsOfType(
  store: TreeStore,
  root: TreeRoot,
  { object, type, offset = 0n }: Pick<Key, 'object' | 'type'> & { readonly offset?: bigint },
  options: AbortOptions,
): AsyncGenerator<Item, void, undefined> {
  for await (const item of itemsFrom(store, root, { object, type, offset }, options)) {
    if (item.key.object !== object || item.key.type !== type) return
    yield item
  }
}

async function* storedItems(
  store: TreeStore,
  root: TreeRoot,
  from: Key,
  options: AbortOptions,
): AsyncGenerator<Item, void, undefined> {
  const node = await readNode(store, root.address, root.level, root.where, options)
  let last: Key | undefined
  for await (const item of itemsBelow(store, node, from, root.where, options)) {
    // A child that is reached twice would begin again: that is how loops sideways end.
    if (last !== undefined && compareKeys(item.key, last) <= 0)
      throw corrupt(item.data.where, 'ascending keys', 'others')
    last = item.key
    yield item
  }
}

async function* itemsBelow(
  store: TreeStore,
  node: Node,
  from: Key,
  where: string,
  options: AbortOptions,
): AsyncGenerator<Item, void, undefined> {
  for (let index = Math.max(lastAtMost(node, from), 0); index < node.items; index++) {
    if (node.level === 0) {
      const item = itemIn(node, index)
      if (compareKeys(item.key, from) >= 0) yield item
    } else {
      const child = await readNode(store, childIn(node, index), node.level - 1, where, options)
      yield* itemsBelow(store, child, from, where, options)
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
  const changed = root.changes?.atMost(key)
  for (let at: Key | undefined = key; at !== undefined;) {
    const stored = await storedAtMost(store, root, at, options)
    if (stored === undefined) break
    if (changed !== undefined && compareKeys(changed.key, stored.key) >= 0) break
    if (root.changes?.has(stored.key) !== true) return stored
    at = keyBefore(stored.key)
  }
  return changed !== undefined && isItem(changed) ? changed : undefined
}

/** What is kept under a key, or undefined. */
export const itemAt = async (
  store: TreeStore,
  root: TreeRoot,
  key: Key,
  options: AbortOptions,
): Promise<Fields | undefined> => {
  const item = await itemAtMost(store, root, key, options)
  return item !== undefined && compareKeys(item.key, key) === 0 ? item.data : undefined
}

const storedAtMost = async (
  store: TreeStore,
  root: TreeRoot,
  key: Key,
  options: AbortOptions,
): Promise<Item | undefined> => {
  let node = await readNode(store, root.address, root.level, root.where, options)
  for (;;) {
    const index = lastAtMost(node, key)
    if (index < 0) return undefined
    if (node.level === 0) return itemIn(node, index)
    node = await readNode(store, childIn(node, index), node.level - 1, root.where, options)
  }
}
