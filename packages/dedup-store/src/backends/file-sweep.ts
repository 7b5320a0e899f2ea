/** Removes what dead writers left. @module */
import { join } from 'node:path'
import type { AbortOptions } from '@granary/core'
import { LOCKS_FOLDER, ownerOfTemporary } from './file-layout.ts'
import type { FileStore } from './file-put.ts'
import type { FolderEntry } from './file-system-port.ts'
import { systemCode, systemError } from './system-error.ts'

/** @returns how many temporary files, and files of released locks, were removed */
export const sweepFiles = async (
  store: FileStore,
  isAlive: (owner: string) => Promise<boolean>,
  { signal }: AbortOptions,
): Promise<number> => {
  const alive = new Map<string, Promise<boolean>>()
  const isDead = async (owner: string): Promise<boolean> => {
    const answer = alive.get(owner) ?? isAlive(owner)
    alive.set(owner, answer)
    return !(await answer)
  }
  let removed = 0
  for await (const { folder, entry } of walkFolders(store, '', signal)) {
    const path = join(store.root, folder, entry.name)
    if (store.writing.has(path)) continue
    const owner = folder === LOCKS_FOLDER ? entry.name : ownerOfTemporary(entry.name)
    if (owner === undefined || !(await isDead(owner))) continue
    if (folder === LOCKS_FOLDER && (await store.fs.isLocked(path)) === true) continue
    if (await remove(store, path)) removed++
  }
  return removed
}

interface Found {
  readonly folder: string
  readonly entry: FolderEntry
}

async function* walkFolders(
  store: FileStore,
  folder: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Found, void, void> {
  signal?.throwIfAborted()
  for (const entry of await readFolder(store, folder)) {
    if (entry.kind === 'file') yield { folder, entry }
    // Other folders with a leading dot, or names no key has (`lost+found`), are not ours.
    if (entry.kind === 'folder' && (entry.name === LOCKS_FOLDER || /^[a-z0-9-][a-z0-9._-]*$/.test(entry.name)))
      yield* walkFolders(store, folder === '' ? entry.name : `${folder}/${entry.name}`, signal)
  }
}

const readFolder = async ({ fs, root }: FileStore, folder: string): Promise<readonly FolderEntry[]> => {
  try {
    return await fs.readFolder(join(root, folder))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw systemError(error, `cannot look for left-over files in ${join(root, folder)}`)
  }
}

const remove = async ({ fs }: FileStore, path: string): Promise<boolean> => {
  try {
    await fs.unlink(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw systemError(error, `cannot remove the left-over file ${path}`)
  }
}
