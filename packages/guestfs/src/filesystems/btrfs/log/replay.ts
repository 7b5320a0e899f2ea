/** What the steps of a replay share: the log of one subvolume, and the subvolume as it becomes. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import { Fields } from '../../../format/fields.ts'
import type { Key } from '../keys.ts'
import type { TreeChanges } from '../tree-changes.ts'
import type { TreeStore } from '../tree-node.ts'
import { itemAt } from '../tree-reader.ts'
import type { TreeRoot } from '../tree-reader.ts'

export interface Replay {
  readonly store: TreeStore
  readonly sectorBytes: number
  readonly log: TreeRoot
  /** Read for what is there by now. */
  readonly tree: TreeRoot & { readonly changes: TreeChanges }
  /** Inodes some name of which came or went: their links are counted at the end. */
  readonly touched: Set<bigint>
  /** Inodes whose extents changed: so does what they occupy. */
  readonly rewritten: Set<bigint>
  readonly options: AbortOptions
}

export const find = async ({ store, tree, options }: Replay, key: Key): Promise<Fields | undefined> =>
  await itemAt(store, tree, key, options)

export const findLogged = async ({ store, log, options }: Replay, key: Key): Promise<Fields | undefined> =>
  await itemAt(store, log, key, options)

export const put = ({ tree }: Replay, key: Key, bytes: Bytes): void =>
  tree.changes.set(key, new Fields(bytes, tree.where))

export const remove = ({ tree }: Replay, key: Key): void => tree.changes.set(key, undefined)

/** A structure that may be changed before it is put. */
export const copyOf = ({ bytes }: Fields): { bytes: Bytes; view: DataView<ArrayBuffer> } => {
  const copy = new Uint8Array(bytes)
  return { bytes: copy, view: new DataView(copy.buffer) }
}
