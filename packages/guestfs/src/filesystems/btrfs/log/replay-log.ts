/**
 * The log tree: what was synced to disk since the last commit. It is replayed in memory, as the kernel does it when it
 * mounts: inodes of every subvolume first, then entries of directories, then attributes, names and extents, and at last
 * links are counted. The kernel pins blocks before that; nothing is written here.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, section "Log tree"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { findSubvolume, rootItem } from '../btrfs.ts'
import type { Btrfs, Subvolume } from '../btrfs.ts'
import { ITEM } from '../keys.ts'
import { TreeChanges } from '../tree-changes.ts'
import type { Item } from '../tree-node.ts'
import { itemsFrom, itemsOfType } from '../tree-reader.ts'
import { replayEntry } from './directories.ts'
import { replayExtent } from './extents.ts'
import { isUnnamed, replayInode, settleInodes } from './inodes.ts'
import { isReference } from './named.ts'
import { replayReferences } from './references.ts'
import { put } from './replay.ts'
import type { Replay } from './replay.ts'

/** Logs of subvolumes: -6. */
const LOG_OBJECT = 2n ** 64n - 6n
const FIRST = { object: 0n, type: 0, offset: 0n }

/** Subvolumes become what the log makes of them, all or none. @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_LIMIT` */
export const replayLog = async (btrfs: Btrfs, options: AbortOptions): Promise<void> => {
  const { sb, store } = btrfs
  const logs = { address: sb.logTree, level: sb.logLevel, where: 'log tree' }
  const replayed = new Map<number, Subvolume>()
  for await (const { key, data } of itemsOfType(store, logs, { object: LOG_OBJECT, type: ITEM.root }, options)) {
    const id = Number(key.offset)
    const subvolume = await findSubvolume(btrfs, id, options)
    // Deleted since.
    if (subvolume === undefined) continue
    const tree = { ...subvolume.root, changes: new TreeChanges() }
    const log = rootItem(data, `log tree of subvolume ${id}`)
    const state = { touched: new Set<bigint>(), rewritten: new Set<bigint>() }
    await replaySubvolume({ store, sectorBytes: sb.sectorBytes, log, tree, ...state, options })
    replayed.set(id, { ...subvolume, root: tree })
  }
  for (const [id, subvolume] of replayed) btrfs.subvolumes.set(id, subvolume)
}

const replaySubvolume = async (replay: Replay): Promise<void> => {
  const { store, log, options } = replay
  const unnamed = new Set<bigint>()
  const forEach = async (step: (item: Item) => Promise<void>): Promise<void> => {
    for await (const item of itemsFrom(store, log, FIRST, options)) if (!unnamed.has(item.key.object)) await step(item)
  }
  await forEach(async item => {
    if (item.key.type !== ITEM.inode) return
    if (isUnnamed(item.data)) unnamed.add(item.key.object)
    else await replayInode(replay, item)
  })
  await forEach(async item => {
    if (item.key.type === ITEM.directoryIndex) await replayEntry(replay, item)
  })
  await forEach(async item => {
    if (item.key.type === ITEM.xattr) put(replay, item.key, item.data.bytes)
    else if (isReference(item.key.type)) await replayReferences(replay, item)
    else if (item.key.type === ITEM.extentData) await replayExtent(replay, item)
  })
  await settleInodes(replay)
}
