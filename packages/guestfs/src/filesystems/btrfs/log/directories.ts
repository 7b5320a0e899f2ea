/** Directories: old entries that the log no longer has, and new ones. @module */
import { corrupt } from '../../../errors.ts'
import { ITEM } from '../keys.ts'
import type { Key } from '../keys.ts'
import type { Item } from '../tree-node.ts'
import { itemsOfType } from '../tree-reader.ts'
import { DIRECTORY_ENTRY, addLink, entryIn, findEntry, findIndex, inodeKey, unlink } from './links.ts'
import type { Location } from './links.ts'
import { ENTRY, namedIn, referenceKeys, referencesIn } from './named.ts'
import { find, findLogged, remove } from './replay.ts'
import type { Replay } from './replay.ts'

/** Of an index, as everything in it is known to the log. */
interface IndexRange {
  readonly first: bigint
  readonly last: bigint
}

const EVERYTHING: IndexRange = { first: 0n, last: 2n ** 64n - 1n }

/** Inside the ranges that the log covers, entries that it doesn't have are gone. */
export const replayDeletes = async (replay: Replay, dir: bigint): Promise<void> => {
  const { store, log, options } = replay
  for await (const { key, data } of itemsOfType(store, log, { object: dir, type: ITEM.logDirectoryIndex }, options))
    await deleteIn(replay, dir, { first: key.offset, last: data.big64(0) }, true)
}

/** All names in a directory that itself is gone. */
export const deleteAll = async (replay: Replay, dir: bigint): Promise<void> =>
  await deleteIn(replay, dir, EVERYTHING, false)

const deleteIn = async (replay: Replay, dir: bigint, range: IndexRange, keepsLogged: boolean): Promise<void> => {
  const { store, tree, options } = replay
  const entries = { object: dir, type: ITEM.directoryIndex, offset: range.first }
  const gone: { key: Key; name: string; location: Location }[] = []
  for await (const { key, data } of itemsOfType(store, tree, entries, options)) {
    if (key.offset > range.last) break
    const logged = keepsLogged ? await findLogged(replay, key) : undefined
    for (const { name } of namedIn(data, ENTRY))
      if (entryIn(logged, name) === undefined) gone.push({ key, name, location: entryIn(data, name) as Location })
  }
  for (const { key, name, location } of gone) {
    if (location.key.type !== ITEM.inode) continue
    await unlink(replay, location.key.object, dir, name)
    // Also where a damaged inode has no reference back: each entry goes once, so all loops end.
    remove(replay, key)
  }
}

/** An entry of a directory in the log. */
export const replayEntry = async (replay: Replay, { key, data }: Item): Promise<void> => {
  const dir = key.object
  if ((await find(replay, inodeKey(dir))) === undefined) throw corrupt(`log tree, inode ${dir}`, 'a directory', 'none')
  for (const { name } of namedIn(data, ENTRY)) {
    const wanted = entryIn(data, name) as Location
    const link = { parent: dir, index: key.offset, name }
    const isThere = (await find(replay, wanted.key)) !== undefined
    const isEntry = await settle(replay, link, wanted, isThere, await findEntry(replay, dir, name))
    const isIndex = await settle(replay, link, wanted, isThere, await findIndex(replay, dir, link))
    // What the inode's own item in the log names is entered with that item, later.
    if ((isEntry && isIndex) || !isThere || (await isReferenceLogged(replay, wanted.key.object, link))) continue
    if (await findEntry(replay, dir, name)) continue
    await addLink(replay, wanted.key.object, link, true)
    if (wanted.type !== DIRECTORY_ENTRY) replay.touched.add(wanted.key.object)
  }
}

/** Whether a present entry is the wanted one already. Another makes room, unless the wanted leads nowhere. */
const settle = async (
  replay: Replay,
  { parent, name }: { readonly parent: bigint; readonly name: string },
  wanted: Location,
  isThere: boolean,
  present: Location | undefined,
): Promise<boolean> => {
  if (present === undefined) return false
  if (isSame(present.key, wanted.key) && present.type === wanted.type) return true
  if (isThere) await unlink(replay, present.key.object, parent, name)
  return false
}

const isSame = (a: Key, b: Key): boolean => a.object === b.object && a.type === b.type && a.offset === b.offset

export const isReferenceLogged = async (
  replay: Replay,
  ino: bigint,
  { parent, name }: { readonly parent: bigint; readonly name: string },
): Promise<boolean> => {
  for (const key of referenceKeys(ino, { parent, name })) {
    const data = await findLogged(replay, key)
    const isHere = (one: { parent: bigint; name: string }): boolean => one.parent === parent && one.name === name
    if (data !== undefined && referencesIn(key, data).some(isHere)) return true
  }
  return false
}
