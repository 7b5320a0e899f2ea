/**
 * Inodes and their attributes, the first step: everything after it finds its inodes there.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, section "INODE_ITEM"
 * @module
 */
import type { Fields } from '../../../format/fields.ts'
import { fileTypeOfMode } from '../../../format/unix-mode.ts'
import { ITEM } from '../keys.ts'
import type { Item } from '../tree-node.ts'
import { itemsOfType } from '../tree-reader.ts'
import { deleteAll, replayDeletes } from './directories.ts'
import { countOccupied, dropExtents } from './extents.ts'
import { inodeKey } from './links.ts'
import { ENTRY, isReference, namedIn, putNamed, referencesIn } from './named.ts'
import { copyOf, find, findLogged, put } from './replay.ts'
import type { Replay } from './replay.ts'

const GENERATION_AT = 0
const SIZE_AT = 16
const OCCUPIED_AT = 24
const LINKS_AT = 40
const MODE_AT = 52

/** True for a file that had lost all names when it was logged: it isn't brought back. */
export const isUnnamed = (inode: Fields): boolean => inode.u32(LINKS_AT) === 0

const typeOf = (inode: Fields): ReturnType<typeof fileTypeOfMode> => fileTypeOfMode(inode.u32(MODE_AT))

export const replayInode = async (replay: Replay, { key, data }: Item): Promise<void> => {
  const ino = key.object
  const type = typeOf(data)
  await dropXattrs(replay, ino)
  if (type === 'dir') await replayDeletes(replay, ino)
  await putInode(replay, { key, data })
  // Extents beyond the end, as a truncated file had.
  const size = (await find(replay, key))?.u64(SIZE_AT) ?? 0
  const { sectorBytes } = replay
  if (type === 'file') await dropExtents(replay, ino, Math.ceil(size / sectorBytes) * sectorBytes, Infinity)
  replay.touched.add(ino)
}

/** What the log says of an inode, except what the steps after this one make up: blocks, and the size of a directory. */
const putInode = async (replay: Replay, { key, data }: Item): Promise<void> => {
  const present = await find(replay, key)
  const { bytes, view } = copyOf(data)
  const isDirectory = typeOf(data) === 'dir'
  if (present === undefined) {
    view.setBigUint64(OCCUPIED_AT, 0n, true)
    if (isDirectory) view.setBigUint64(SIZE_AT, 0n, true)
    put(replay, key, bytes)
    return
  }
  // Without a generation it was logged only because others needed it to exist.
  if (data.big64(GENERATION_AT) === 0n) {
    const size = data.big64(SIZE_AT)
    if (typeOf(data) !== 'file' || typeOf(present) !== 'file' || size === 0n) return
    const old = copyOf(present)
    old.view.setBigUint64(SIZE_AT, size, true)
    put(replay, key, old.bytes)
    return
  }
  view.setBigUint64(OCCUPIED_AT, present.big64(OCCUPIED_AT), true)
  if (isDirectory) view.setBigUint64(SIZE_AT, typeOf(present) === 'dir' ? present.big64(SIZE_AT) : 0n, true)
  put(replay, key, bytes)
}

/** Attributes that the log lacks: it has all of an inode. */
const dropXattrs = async (replay: Replay, ino: bigint): Promise<void> => {
  const { store, tree, options } = replay
  for await (const { key, data } of itemsOfType(store, tree, { object: ino, type: ITEM.xattr }, options)) {
    const logged = await findLogged(replay, key)
    const names = new Set(logged === undefined ? [] : namedIn(logged, ENTRY).map(({ name }) => name))
    const present = namedIn(data, ENTRY)
    const kept = present.filter(({ name }) => names.has(name))
    if (kept.length < present.length) putNamed(replay, key, kept)
  }
}

/** The last step: links are counted, and what files occupy. A directory without a name takes its entries with it. */
export const settleInodes = async (replay: Replay): Promise<void> => {
  for (const ino of replay.rewritten) await setField(replay, ino, OCCUPIED_AT, await countOccupied(replay, ino))
  // Grows while it is gone through, by inodes too that were counted before.
  for (const ino of replay.touched) {
    replay.touched.delete(ino)
    const links = await countLinks(replay, ino)
    const inode = await setField(replay, ino, LINKS_AT, links)
    if (links > 0 || inode === undefined || typeOf(inode) !== 'dir') continue
    await deleteAll(replay, ino)
  }
}

const setField = async (
  replay: Replay,
  ino: bigint,
  at: typeof OCCUPIED_AT | typeof LINKS_AT,
  value: number,
): Promise<Fields | undefined> => {
  const inode = await find(replay, inodeKey(ino))
  if (inode === undefined) return undefined
  const { bytes, view } = copyOf(inode)
  if (at === OCCUPIED_AT) view.setBigUint64(at, BigInt(value), true)
  else view.setUint32(at, value, true)
  put(replay, inodeKey(ino), bytes)
  return inode
}

const countLinks = async (replay: Replay, ino: bigint): Promise<number> => {
  const { store, tree, options } = replay
  let links = 0
  for (const type of [ITEM.inodeReference, ITEM.inodeExtendedReference])
    for await (const { key, data } of itemsOfType(store, tree, { object: ino, type }, options))
      if (isReference(key.type)) links += referencesIn(key, data).length
  return links
}
