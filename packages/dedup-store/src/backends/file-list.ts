/** Walks the folders of the file backend in the order of keys. @module */
import { join } from 'node:path'
import type { AbortOptions } from '@granary/core'
import type { ObjectInfo } from './backend.ts'
import { folderOf, isSpread, pathOfKey, startOfSpread } from './file-layout.ts'
import type { FileStore } from './file-put.ts'
import { isMissing } from './file-root.ts'
import type { FolderEntry } from './file-system-port.ts'
import { isKeySegment } from './keys.ts'
import { systemError } from './system-error.ts'

/** How many files are asked for their size at once. */
const STAT_BATCH = 64

/** Objects whose key begins with `prefix`, ascending. */
export const listFiles = (
  store: FileStore,
  prefix: string,
  options: AbortOptions,
): AsyncGenerator<ObjectInfo, void, void> => {
  const start = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  // A spread folder is always entered from its top.
  return isSpread(`${start.split('/')[0]}/`)
    ? walk(store, '', '', prefix, options)
    : walk(store, folderOf(start), start, prefix, options)
}

async function* walk(
  store: FileStore,
  folder: string,
  keyOfFolder: string,
  prefix: string,
  { signal }: AbortOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  let files: string[] = []
  for (const entry of await sortedEntries(store, folder)) {
    signal?.throwIfAborted()
    const key = keyOfFolder + entry.name
    if (entry.kind === 'file' && key.startsWith(prefix)) files.push(key)
    const isLeadingThere = entry.kind === 'folder' && mayHold(`${key}/`, prefix)
    if (files.length >= STAT_BATCH || isLeadingThere) {
      yield* sizes(store, files)
      files = []
    }
    if (!isLeadingThere) continue
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    yield* isSpread(`${key}/`)
      ? walkSpread(store, path, `${key}/`, prefix, { signal })
      : walk(store, path, `${key}/`, prefix, { signal })
  }
  signal?.throwIfAborted()
  yield* sizes(store, files)
}

async function* walkSpread(
  store: FileStore,
  folder: string,
  keyOfFolder: string,
  prefix: string,
  options: AbortOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  const entries = await readFolder(store, folder)
  const starts = entries
    .filter(entry => entry.kind === 'folder')
    .map(entry => ({ name: entry.name, start: keyOfFolder + startOfSpread(entry.name) }))
  for (const { name, start } of sortedBy(starts, ({ start }) => start))
    if (mayHold(start, prefix))
      yield* walk(store, `${folder}/${name}`, keyOfFolder, start.length > prefix.length ? start : prefix, options)
}

/** True when keys that begin with `start` may also begin with `prefix`. */
const mayHold = (start: string, prefix: string): boolean => start.startsWith(prefix) || prefix.startsWith(start)

/** In the order of keys: a folder stands where its name and a slash stand. */
const sortedEntries = async (store: FileStore, folder: string): Promise<readonly FolderEntry[]> => {
  const entries = (await readFolder(store, folder)).filter(entry => isKeySegment(entry.name))
  return sortedBy(entries, entry => (entry.kind === 'folder' ? `${entry.name}/` : entry.name))
}

const sortedBy = <Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] =>
  items
    .map(item => ({ item, key: keyOf(item) }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ item }) => item)

const readFolder = async (
  { fs, root, folders, checkRoot }: FileStore,
  folder: string,
): Promise<readonly FolderEntry[]> => {
  try {
    const entries = await fs.readFolder(join(root, folder))
    folders.touch(folder)
    return entries
  } catch (error) {
    if (!isMissing(error)) throw systemError(error, `cannot list ${join(root, folder)}`)
    await checkRoot()
    return []
  }
}

async function* sizes({ fs, root }: FileStore, keys: readonly string[]): AsyncGenerator<ObjectInfo, void, void> {
  const infos = await Promise.all(
    keys.map(async key => {
      try {
        return { key, sizeBytes: (await fs.stat(join(root, pathOfKey(key)))).sizeBytes }
      } catch (error) {
        if (isMissing(error)) return undefined // Deleted since.
        throw systemError(error, `cannot list ${key}`)
      }
    }),
  )
  for (const info of infos) if (info !== undefined) yield info
}
