/** What the parts of this reader share: trees, and the roots of subvolumes. @module */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import type { Fields } from '../../format/fields.ts'
import type { Superblock } from './superblock.ts'
import { ITEM } from './keys.ts'
import type { TreeStore } from './tree-node.ts'
import { itemAtMost } from './tree-reader.ts'
import type { TreeRoot } from './tree-reader.ts'

/** An opened file system. */
export interface Btrfs {
  readonly sb: Superblock
  readonly store: TreeStore
  /** The tree of trees. */
  readonly rootTree: TreeRoot
  /** Roots of subvolumes, once they were looked up. */
  readonly subvolumes: Map<number, Subvolume | undefined>
}

export interface Subvolume {
  readonly root: TreeRoot
  readonly isReadOnly: boolean
  readonly isSnapshot: boolean
}

const ROOT_FLAG_READ_ONLY = 1n

/** @throws GranaryError `GRANARY_CORRUPT` when it doesn't exist */
export const subvolumeOf = async (btrfs: Btrfs, id: number, options: AbortOptions): Promise<Subvolume> => {
  if (!btrfs.subvolumes.has(id)) btrfs.subvolumes.set(id, await findSubvolume(btrfs, id, options))
  const found = btrfs.subvolumes.get(id)
  if (found === undefined) throw corrupt(`subvolume ${id}`, 'a root', 'none')
  return found
}

/** As it was committed, undefined when it doesn't exist. While blocks are moved there may be several roots: the last is in force. */
export const findSubvolume = async (
  { store, rootTree }: Btrfs,
  id: number,
  options: AbortOptions,
): Promise<Subvolume | undefined> => {
  const last = { object: BigInt(id), type: ITEM.root, offset: 2n ** 64n - 1n }
  const item = await itemAtMost(store, rootTree, last, options)
  return item?.key.object === last.object && item.key.type === ITEM.root ? parseRoot(id, item.data) : undefined
}

const parseRoot = (id: number, data: Fields): Subvolume | undefined => {
  if (data.u32(216) === 0) return undefined // Deleted, and not yet cleaned away.
  const hasUuids = data.length >= 279
  return {
    root: rootItem(data, `subvolume ${id}`),
    isReadOnly: (data.big64(208) & ROOT_FLAG_READ_ONLY) !== 0n,
    isSnapshot: hasUuids && data.slice(263, 16).some(byte => byte !== 0),
  }
}

/** The tree that an item of the tree of trees, or of the log's, leads to. */
export const rootItem = (data: Fields, where: string): TreeRoot => ({
  address: data.u64(176),
  level: data.u8(238),
  where,
})
