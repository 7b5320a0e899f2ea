/** Names that come and go: an entry, its place in the order of the directory, and the inode's reference back. @module */
import { corrupt } from '../../../errors.ts'
import { Fields } from '../../../format/fields.ts'
import { ITEM } from '../keys.ts'
import type { Key } from '../keys.ts'
import { ENTRY, entryKey, namedIn, packEntry, packReference, putNamed, referenceKeys, referencesIn } from './named.ts'
import type { Reference } from './named.ts'
import { copyOf, find, put, remove } from './replay.ts'
import type { Replay } from './replay.ts'

const LOCATION_BYTES = 17
const SIZE_AT = 16
const MODE_AT = 52

/** Types of entries by the upper four bits of the mode. */
const ENTRY_TYPES: Readonly<Record<number, number>> = { 1: 5, 2: 3, 4: 2, 6: 4, 8: 1, 10: 7, 12: 6 }
export const DIRECTORY_ENTRY = 2

/** What an entry leads to. */
export interface Location {
  readonly key: Key
  readonly type: number
}

const locationOf = (entry: Fields): Location => ({
  key: { object: entry.big64(0), type: entry.u8(8), offset: entry.big64(9) },
  type: entry.u8(29),
})

export const inodeKey = (ino: bigint): Key => ({ object: ino, type: ITEM.inode, offset: 0n })

export const indexKey = (dir: bigint, index: bigint): Key => ({
  object: dir,
  type: ITEM.directoryIndex,
  offset: index,
})

/** The entry of a name under a key of entries, or undefined. */
export const entryIn = (data: Fields | undefined, name: string): Location | undefined => {
  const found = data && namedIn(data, ENTRY).find(named => named.name === name)
  return found && locationOf(found.fields)
}

export const findEntry = async (replay: Replay, dir: bigint, name: string): Promise<Location | undefined> =>
  entryIn(await find(replay, entryKey(dir, name)), name)

export const findIndex = async (
  replay: Replay,
  dir: bigint,
  { index, name }: Pick<Reference, 'index' | 'name'>,
): Promise<Location | undefined> => entryIn(await find(replay, indexKey(dir, index)), name)

/** The size of a directory is twice the bytes of its names. */
const growDirectory = async (replay: Replay, dir: bigint, nameBytes: number): Promise<void> => {
  const inode = await find(replay, inodeKey(dir))
  if (inode === undefined) return
  const { bytes, view } = copyOf(inode)
  const size = inode.u64(SIZE_AT) + 2 * nameBytes
  view.setBigUint64(SIZE_AT, BigInt(Math.max(size, 0)), true)
  put(replay, inodeKey(dir), bytes)
}

/** Enters an inode that is there. @param withReference false where the reference follows from the log */
export const addLink = async (replay: Replay, ino: bigint, link: Reference, withReference: boolean): Promise<void> => {
  const { parent, index, name } = link
  const inode = await find(replay, inodeKey(ino))
  if (inode === undefined) throw corrupt(`log tree, inode ${ino}`, 'an inode', 'none')
  const location = new Uint8Array(LOCATION_BYTES)
  const view = new DataView(location.buffer)
  view.setBigUint64(0, ino, true)
  view.setUint8(8, ITEM.inode)
  const entry = packEntry(location, ENTRY_TYPES[inode.u32(MODE_AT) >> 12] ?? 0, name)
  const where = entryKey(parent, name)
  const present = await find(replay, where)
  const others = present === undefined ? [] : namedIn(present, ENTRY)
  putNamed(replay, where, [...others, { name, fields: new Fields(entry, 'entry') }])
  put(replay, indexKey(parent, index), entry)
  await growDirectory(replay, parent, name.length)
  if (!withReference) return
  const [key] = referenceKeys(ino, link) as [Key]
  const references = await find(replay, key)
  const rest = references === undefined ? [] : referencesIn(key, references)
  putNamed(replay, key, [...rest, { name, fields: new Fields(packReference(link), 'reference') }])
}

/** Takes a name away: the entry, its index, and the reference of its inode. */
export const unlink = async (replay: Replay, ino: bigint, parent: bigint, name: string): Promise<void> => {
  replay.touched.add(ino)
  const where = entryKey(parent, name)
  const entries = await find(replay, where)
  if (entries === undefined || entryIn(entries, name) === undefined) return
  putNamed(
    replay,
    where,
    namedIn(entries, ENTRY).filter(entry => entry.name !== name),
  )
  await growDirectory(replay, parent, -name.length)
  for (const key of referenceKeys(ino, { parent, name })) {
    const data = await find(replay, key)
    const references = data === undefined ? [] : referencesIn(key, data)
    const gone = references.find(reference => reference.parent === parent && reference.name === name)
    if (gone === undefined) continue
    putNamed(
      replay,
      key,
      references.filter(reference => reference !== gone),
    )
    remove(replay, indexKey(parent, gone.index))
    return
  }
}
