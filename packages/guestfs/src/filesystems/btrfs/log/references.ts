/** Names of an inode that the log tells: they are entered, and its old ones beside them given up. @module */
import { ITEM } from '../keys.ts'
import type { Key } from '../keys.ts'
import type { Item } from '../tree-node.ts'
import { isReferenceLogged } from './directories.ts'
import { addLink, findEntry, findIndex, inodeKey, unlink } from './links.ts'
import { referenceKeys, referencesIn } from './named.ts'
import type { Reference } from './named.ts'
import { find, put } from './replay.ts'
import type { Replay } from './replay.ts'

export const replayReferences = async (replay: Replay, { key, data }: Item): Promise<void> => {
  const ino = key.object
  const logged = referencesIn(key, data)
  for (const reference of logged) {
    const { parent } = reference
    // The top is its own parent, and in no directory.
    if (parent === ino) return
    // A directory that was never committed and isn't in the log either takes its names with it.
    if ((await find(replay, inodeKey(parent))) === undefined) {
      if (key.type === ITEM.inodeReference) return
      continue
    }
    if (await isEntered(replay, ino, reference)) continue
    await makeRoom(replay, ino, reference)
    if ((await findEntry(replay, parent, reference.name)) === undefined) await addLink(replay, ino, reference, false)
  }
  await dropOthers(replay, key, logged)
  put(replay, key, data.bytes)
}

const isEntered = async (replay: Replay, ino: bigint, reference: Reference): Promise<boolean> => {
  const entry = await findEntry(replay, reference.parent, reference.name)
  const index = await findIndex(replay, reference.parent, reference)
  return [entry, index].every(location => location?.key.object === ino && location.key.type === ITEM.inode)
}

/** Old names under the same keys that the log lacks go, and so do other inodes with this index or name. */
const makeRoom = async (replay: Replay, ino: bigint, reference: Reference): Promise<void> => {
  const { parent, name } = reference
  for (const key of referenceKeys(ino, reference)) {
    const present = await find(replay, key)
    for (const old of present === undefined ? [] : referencesIn(key, present))
      if (old.parent === parent && !(await isReferenceLogged(replay, ino, old)))
        await unlink(replay, ino, parent, old.name)
  }
  for (const other of [await findIndex(replay, parent, reference), await findEntry(replay, parent, name)])
    if (other !== undefined) await unlink(replay, other.key.object, parent, name)
}

/** The item of the log replaces the one here: names that only the old one has are given up first. */
const dropOthers = async (replay: Replay, key: Key, logged: readonly Reference[]): Promise<void> => {
  const present = await find(replay, key)
  for (const old of present === undefined ? [] : referencesIn(key, present))
    if (!logged.some(({ parent, name }) => parent === old.parent && name === old.name))
      await unlink(replay, key.object, old.parent, old.name)
}
