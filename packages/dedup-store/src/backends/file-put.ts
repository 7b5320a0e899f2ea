/** How an object gets under its name on local files: whole, durable, and, where asked, only if nobody else was first. @module */
import { join } from 'node:path'
import { GranaryError, WRITE_PIECE_BYTES } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { PutOptions, PutSource } from './backend.ts'
import { folderOf, pathOfKey, temporaryName } from './file-layout.ts'
import type { Folders } from './file-folders.ts'
import { isMissing } from './file-root.ts'
import type { FileSystemPort, OpenFile } from './file-system-port.ts'
import { pieces } from './put-source.ts'
import { systemCode, systemError } from './system-error.ts'

/** What a `put` works on. `writing` holds the paths of temporary files in use, which no sweep of this backend may take. */
export interface FileStore {
  readonly fs: FileSystemPort
  readonly root: string
  readonly folders: Folders
  /** Rejects once the folder is not what it was; see `watchRoot`. */
  readonly checkRoot: () => Promise<void>
  readonly writing: Set<string>
}

/**
 * Temporary file, write, check size, fsync; then for an ordinary object rename, for a decision link, which unlike rename never replaces.
 * The content is durable before the name exists, so that no power cut shows a torn object.
 */
export const putFile = async (
  store: FileStore,
  key: string,
  source: PutSource,
  { ifAbsent = false, owner = '', durable = true, signal }: PutOptions,
): Promise<'stored' | 'exists'> => {
  const { fs, root, folders, writing } = store
  signal?.throwIfAborted()
  await store.checkRoot()
  const path = pathOfKey(key)
  const folder = folderOf(path)
  await folders.ensure(folder)
  const temporary = join(root, folder, temporaryName(owner))
  const target = join(root, path)
  writing.add(temporary)
  try {
    await writeTemporary(fs, temporary, pieces(source, { signal }), key)
    signal?.throwIfAborted()
    if (ifAbsent) return await publishOnce(store, temporary, target, folder, key)
    await during(key, fs.rename(temporary, target))
    folders.touch(folder)
    if (durable) await folders.sync(folder)
    return 'stored'
  } catch (error) {
    await removeQuietly(fs, temporary)
    throw error
  } finally {
    writing.delete(temporary)
  }
}

/** Links the temporary file to its name, and takes away its temporary one. */
const publishOnce = async (
  { fs, folders }: FileStore,
  temporary: string,
  target: string,
  folder: string,
  key: string,
): Promise<'stored' | 'exists'> => {
  const result = await linkOnce(fs, temporary, target, key)
  folders.touch(folder)
  await folders.sync(folder) // Also where another was first: its name may not be durable yet, and our caller will act on it.
  await removeQuietly(fs, temporary)
  return result
}

/** A network file system may lose the answer of a link that worked, and fail, or answer EEXIST when it asks again: look who is there. */
const linkOnce = async (
  fs: FileSystemPort,
  temporary: string,
  target: string,
  key: string,
): Promise<'stored' | 'exists'> => {
  try {
    await fs.link(temporary, target)
    return 'stored'
  } catch (error) {
    const [ours, theirs] = await Promise.all([identity(fs, temporary), identity(fs, target)])
    if (ours !== undefined && ours === theirs) return 'stored'
    if (systemCode(error) === 'EEXIST') return 'exists'
    throw storeError(error, key)
  }
}

const identity = async (fs: FileSystemPort, path: string): Promise<string | undefined> =>
  await fs.stat(path).then(
    stat => stat.identity,
    () => undefined,
  )

const writeTemporary = async (
  fs: FileSystemPort,
  temporary: string,
  source: AsyncIterable<Bytes>,
  key: string,
): Promise<void> => {
  const file = await during(key, fs.create(temporary))
  try {
    let sizeBytes = 0
    for await (const piece of source) sizeBytes = await during(key, writeAll(file, piece, sizeBytes))
    const written = (await during(key, file.stat())).sizeBytes
    if (written !== sizeBytes)
      throw new GranaryError('GRANARY_IO', `cannot store ${key}: the file system kept another number of bytes`, {
        detail: { key, expected: sizeBytes, got: written },
      })
    await during(key, file.sync())
  } catch (error) {
    await file.close().catch(() => undefined) // The first error says more.
    throw error
  }
  await during(key, file.close())
}

/** @returns the offset after the bytes */
const writeAll = async (file: OpenFile, bytes: Bytes, offset: number): Promise<number> => {
  let done = 0
  while (done < bytes.length) {
    const written = await file.write(bytes.subarray(done, done + WRITE_PIECE_BYTES), offset + done)
    if (written <= 0)
      throw new GranaryError('GRANARY_IO', 'the file system takes no more bytes', { detail: { offset } })
    done += written
  }
  return offset + done
}

/** What cannot be removed now is left to the next sweep. */
const removeQuietly = async (fs: FileSystemPort, path: string): Promise<void> => {
  await fs.unlink(path).catch(() => undefined)
}

const during = async <Result>(key: string, work: Promise<Result>): Promise<Result> => {
  try {
    return await work
  } catch (error) {
    throw storeError(error, key)
  }
}

/** A folder that was there and is not any more is no missing object: the storage has gone away under us. */
const storeError = (error: unknown, key: string): unknown => {
  if (!isMissing(error)) return systemError(error, `cannot store ${key}`)
  return new GranaryError('GRANARY_IO', `cannot store ${key}: its folder, or its temporary file, has vanished`, {
    cause: error,
    detail: { key },
    hint: 'Check that the storage is still mounted.',
  })
}
