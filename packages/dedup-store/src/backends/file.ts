/** A backend on a folder of a local or mounted file system. @module */
import { join, resolve } from 'node:path'
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import type { Backend, GetOptions, ObjectInfo, PutOptions, PutSource } from './backend.ts'
import { openFolders } from './file-folders.ts'
import { LOCKS_FOLDER, folderOf, pathOfKey } from './file-layout.ts'
import { listFiles } from './file-list.ts'
import { probeFolder } from './file-probe.ts'
import { putFile } from './file-put.ts'
import type { FileStore } from './file-put.ts'
import { isMissing, watchRoot } from './file-root.ts'
import { sweepFiles } from './file-sweep.ts'
import type { FileSystemPort, OpenFile } from './file-system-port.ts'
import { checkKey, checkOwner, checkPrefix } from './keys.ts'
import { nodeFileSystem } from './node-file-system.ts'
import { noSuchObject, readRange } from './read-range.ts'
import { systemCode, systemError } from './system-error.ts'

export interface FileBackendOptions {
  /** @default the real one */
  readonly fs?: FileSystemPort
}

/**
 * Objects as files under `path`. The folder itself is only made by `probe()`: a storage that is not mounted must not be
 * taken for an empty one.
 */
export const fileBackend = (path: string, { fs = nodeFileSystem() }: FileBackendOptions = {}): Required<Backend> => {
  const root = resolve(path)
  const store: FileStore = {
    fs,
    root,
    folders: openFolders(fs, root),
    checkRoot: watchRoot(fs, root),
    writing: new Set(),
  }
  return {
    location: root,
    probe: async () => await probeFolder(fs, root),
    put: async (key: string, source: PutSource, options: PutOptions = {}) => {
      checkKey(key)
      checkOwner(options.owner ?? '')
      return await putFile(store, key, source, options)
    },
    get: async (key: string, options: GetOptions = {}) => {
      checkKey(key)
      return await getFile(store, key, options)
    },
    stat: async (key: string, { signal }: AbortOptions = {}) => {
      checkKey(key)
      signal?.throwIfAborted()
      return await statFile(store, key)
    },
    list: (prefix: string, { signal }: AbortOptions = {}) => listChecked(store, prefix, signal),
    delete: async (key: string, { signal }: AbortOptions = {}) => {
      checkKey(key)
      signal?.throwIfAborted()
      await deleteFile(store, key)
    },
    sync: async ({ signal }: AbortOptions = {}) => {
      signal?.throwIfAborted()
      await store.folders.barrier()
    },
    hold: async (name: string) => {
      checkHolder(name)
      return await holdLock(store, name)
    },
    isHeld: async (name: string) => {
      checkHolder(name)
      return await fs.isLocked(join(root, LOCKS_FOLDER, name)).catch((error: unknown) => {
        throw systemError(error, `cannot tell whether ${name} is alive`)
      })
    },
    sweep: async (isAlive: (owner: string) => Promise<boolean>, options: AbortOptions = {}) =>
      await sweepFiles(store, isAlive, options),
    pathOf: (key: string) => join(root, pathOfKey(key)),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function* listChecked(
  store: FileStore,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, void> {
  checkPrefix(prefix)
  signal?.throwIfAborted()
  await store.checkRoot()
  yield* listFiles(store, prefix, { signal })
}

const getFile = async (store: FileStore, key: string, options: GetOptions): Promise<Bytes> => {
  options.signal?.throwIfAborted()
  const file = await openObject(store, key)
  try {
    const stat = await file.stat()
    if (stat.kind !== 'file') throw noSuchObject(store.root, key)
    const { offset, length } = readRange(store.root, key, stat.sizeBytes, options)
    store.folders.touch(folderOf(pathOfKey(key)))
    return await readExactly(store, file, key, offset, length)
  } catch (error) {
    throw systemError(error, `cannot read ${key}`)
  } finally {
    await file.close().catch(() => undefined) // Nothing was written through it.
  }
}

const openObject = async ({ fs, root, checkRoot }: FileStore, key: string): Promise<OpenFile> => {
  try {
    return await fs.open(join(root, pathOfKey(key)))
  } catch (error) {
    if (!isMissing(error)) throw systemError(error, `cannot read ${key}`)
    await checkRoot()
    throw noSuchObject(root, key)
  }
}

const readExactly = async (
  { root }: FileStore,
  file: OpenFile,
  key: string,
  offset: number,
  length: number,
): Promise<Bytes> => {
  const target = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const got = await file.read(target.subarray(done), offset + done)
    if (got <= 0) readRange(root, key, offset + done, { offset, length }) // Says that the object is truncated.
    done += got
  }
  return target
}

const statFile = async ({ fs, root, folders, checkRoot }: FileStore, key: string): Promise<ObjectInfo | undefined> => {
  const path = pathOfKey(key)
  try {
    const { kind, sizeBytes } = await fs.stat(join(root, path))
    if (kind !== 'file') return undefined
    folders.touch(folderOf(path))
    return { key, sizeBytes }
  } catch (error) {
    if (!isMissing(error)) throw systemError(error, `cannot look for ${key}`)
    await checkRoot()
    return undefined
  }
}

const deleteFile = async ({ fs, root, folders, checkRoot }: FileStore, key: string): Promise<void> => {
  const path = pathOfKey(key)
  try {
    await fs.unlink(join(root, path))
    folders.touch(folderOf(path))
  } catch (error) {
    if (!isMissing(error)) throw systemError(error, `cannot delete ${key}`)
    await checkRoot()
  }
}

const checkHolder = (name: string): void => {
  checkOwner(name)
  if (name === '')
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'a holder needs a name', { detail: { argument: 'name' } })
}

/** Where there are no locks nothing is left on the storage, so that nobody takes this writer for dead. */
const holdLock = async ({ fs, root, folders }: FileStore, name: string): Promise<AsyncDisposable> => {
  await folders.ensure(LOCKS_FOLDER)
  try {
    return (await fs.lock(join(root, LOCKS_FOLDER, name))) ?? { [Symbol.asyncDispose]: async () => undefined }
  } catch (error) {
    if (systemCode(error) !== 'EAGAIN') throw systemError(error, `cannot take the lock of ${name}`)
    throw new GranaryError('GRANARY_LOCKED', `${name} is held by another process`, { cause: error, detail: { name } })
  }
}
