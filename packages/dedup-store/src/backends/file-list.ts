/** Walks the folders of the file backend in the order of keys. @module */
import { join } from 'node:path'
import type { AbortOptions } from '@granary/core'
import type { ObjectInfo } from './backend.ts'
import type { Folders } from './file-folders.ts'
import { folderOf, isSpread, pathOfKey, startOfSpread } from './file-layout.ts'
import type { FileSystemPort, FolderEntry } from './file-system-port.ts'
import { isKeySegment } from './keys.ts'
import { systemCode, systemError } from './system-error.ts'

/** How many files are asked for their size at once. */
const STAT_BATCH = 64

export interface FileTree {
  readonly fs: FileSystemPort
  readonly root: string
  readonly folders: Pick<Folders, 'touch'>
}

/** Objects whose key begins with `prefix`, ascending. */
export const listFiles = (
  tree: FileTree,
  prefix: string,
  options: AbortOptions,
): AsyncGenerator<ObjectInfo, void, void> => {
  const start = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  // A spread folder is always entered from its top.
  return isSpread(`${start.split('/')[0]}/`)
    ? walk(tree, '', '', prefix, options)
    : walk(tree, folderOf(start), start, prefix, options)
}

async function* walk(
  tree: FileTree,
  folder: string,
  keyOfFolder: string,
  prefix: string,
  { signal }: AbortOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  let files: string[] = []
  for (const entry of await sortedEntries(tree, folder)) {
    signal?.throwIfAborted()
    const key = keyOfFolder + entry.name
    if (entry.kind === 'file' && key.startsWith(prefix)) files.push(key)
    const isLeadingThere = entry.kind === 'folder' && mayHold(`${key}/`, prefix)
    if (files.length >= STAT_BATCH || isLeadingThere) {
      yield* sizes(tree, files)
      files = []
    }
    if (!isLeadingThere) continue
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    yield* isSpread(`${key}/`)
      ? walkSpread(tree, path, `${key}/`, prefix, { signal })
      : walk(tree, path, `${key}/`, prefix, { signal })
  }
  signal?.throwIfAborted()
  yield* sizes(tree, files)
}

async function* walkSpread(
  tree: FileTree,
  folder: string,
  keyOfFolder: string,
  prefix: string,
  options: AbortOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  const entries = await readFolder(tree, folder)
  const starts = entries
    .filter(entry => entry.kind === 'folder')
    .map(entry => ({ name: entry.name, start: keyOfFolder + startOfSpread(entry.name) }))
  for (const { name, start } of sortedBy(starts, ({ start }) => start))
    if (mayHold(start, prefix))
      yield* walk(tree, `${folder}/${name}`, keyOfFolder, start.length > prefix.length ? start : prefix, options)
}

/** True when keys that begin with `start` may also begin with `prefix`. */
const mayHold = (start: string, prefix: string): boolean => start.startsWith(prefix) || prefix.startsWith(start)

/** In the order of keys: a folder stands where its name and a slash stand. */
const sortedEntries = async (tree: FileTree, folder: string): Promise<readonly FolderEntry[]> => {
  const entries = (await readFolder(tree, folder)).filter(entry => isKeySegment(entry.name))
  return sortedBy(entries, entry => (entry.kind === 'folder' ? `${entry.name}/` : entry.name))
}

const sortedBy = <Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] =>
  items
    .map(item => ({ item, key: keyOf(item) }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ item }) => item)

const readFolder = async ({ fs, root, folders }: FileTree, folder: string): Promise<readonly FolderEntry[]> => {
  try {
    const entries = await fs.readFolder(join(root, folder))
    folders.touch(folder)
    return entries
  } catch (error) {
    const system = systemCode(error)
    if (system === 'ENOENT' || system === 'ENOTDIR') return []
    throw systemError(error, `cannot list ${join(root, folder)}`)
  }
}

async function* sizes({ fs, root }: FileTree, keys: readonly string[]): AsyncGenerator<ObjectInfo, void, void> {
  const infos = await Promise.all(
    keys.map(async key => {
      try {
        return { key, sizeBytes: (await fs.stat(join(root, pathOfKey(key)))).sizeBytes }
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return undefined // Deleted since.
        throw systemError(error, `cannot list ${key}`)
      }
    }),
  )
  for (const info of infos) if (info !== undefined) yield info
}
