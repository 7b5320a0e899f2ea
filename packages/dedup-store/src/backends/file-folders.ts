/** Folders of the file backend: made on first use, and their names made durable once per barrier. @module */
import { join } from 'node:path'
import { folderOf } from './file-layout.ts'
import type { FileSystemPort } from './file-system-port.ts'
import { systemCode, systemError } from './system-error.ts'

/** How many folders are synced at once. */
const CONCURRENCY = 8

export interface Folders {
  /** Makes a folder (a path under the root; not the root itself) and those above it, durably, when this backend meets it for the first time. */
  ensure(folder: string): Promise<void>
  /** Names in this folder were changed, or were read and may now be relied on: the next barrier includes it. */
  touch(folder: string): void
  /** Makes the names of one folder durable now. */
  sync(folder: string): Promise<void>
  /** Makes the names of all folders touched before the call durable. */
  barrier(): Promise<void>
}

/**
 * After a failed fsync the system forgets what it could not write, and a second one may succeed without having written it. So once
 * a folder could not be synced, everything after fails too: durable is then no longer known, until the storage is opened anew.
 */
export const openFolders = (fs: FileSystemPort, root: string): Folders => {
  const anchored = new Map<string, Promise<void>>([['', Promise.resolve()]])
  let touched = new Set<string>()
  let lastBarrier: Promise<void> = Promise.resolve()
  let failure: unknown

  const checkEarlier = (): void => {
    if (failure !== undefined)
      throw systemError(failure, `nothing in ${root} is known to be durable since an earlier failure`)
  }

  const sync = async (folder: string): Promise<void> => {
    checkEarlier()
    try {
      await fs.syncFolder(join(root, folder))
    } catch (error) {
      failure ??= error
      throw systemError(error, `cannot make the folder ${join(root, folder)} durable`)
    }
  }

  /** Whoever made a folder, its name is only durable once the folder above was synced. */
  const anchor = async (folder: string, make: boolean): Promise<void> => {
    const known = anchored.get(folder)
    if (known !== undefined) return await known
    const above = folderOf(folder)
    const work = (async () => {
      await anchor(above, make)
      if (make) await createFolder(fs, join(root, folder))
      await sync(above)
    })()
    anchored.set(folder, work)
    try {
      await work
    } catch (error) {
      anchored.delete(folder)
      throw error
    }
  }

  const syncTouched = async (): Promise<void> => {
    checkEarlier()
    const folders = [...touched]
    touched = new Set()
    const next = folders.values()
    const worker = async (): Promise<void> => {
      for (const folder of next) {
        await anchor(folder, false)
        await sync(folder)
      }
    }
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, folders.length) }, worker))
  }

  return {
    ensure: async folder => await anchor(folder, true),
    touch: folder => void touched.add(folder),
    sync,
    barrier: async () => {
      // One after the other: a barrier must not overtake the one that has taken folders of its callers away.
      const mine = lastBarrier.then(syncTouched)
      lastBarrier = mine.catch(() => undefined)
      await mine
    },
  }
}

const createFolder = async (fs: FileSystemPort, path: string): Promise<void> => {
  try {
    await fs.createFolder(path)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw systemError(error, `cannot make the folder ${path}`)
  }
}
