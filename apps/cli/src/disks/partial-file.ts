/** New files that are complete or not there: written under another name, and given theirs when they are whole. @module */
import { constants } from 'node:fs'
import { link, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GranaryError, createRawDisk, fromSystemError, isGranaryError, loadNative } from '@granary/core'
import type { RawFileWriter } from '@granary/core'
import { fileIdentity } from './file-identity.ts'

/** A name that says what it is: an interrupted restore never looks like a finished one, and the next one finds what a killed one left. */
export const PARTIAL = '.granary-partial'

export interface PartialFile extends AsyncDisposable {
  /** Where it is until then. */
  readonly path: string
  readonly writer: RawFileWriter
  /**
   * Closes the file and gives it its name.
   *
   * @throws GranaryError `GRANARY_EXISTS` when somebody else made a file of that name meanwhile
   */
  publish(): Promise<void>
}

/**
 * Makes a file that is to be `path` once it is published; disposed of before that, nothing of it stays.
 * The lock on it ends with this process, so that what a dead one left can be told from what a living one writes.
 *
 * @throws GranaryError `GRANARY_LOCKED` when another process writes this file
 */
export const createPartialFile = async (path: string, sizeBytes: number): Promise<PartialFile> => {
  const partial = `${path}${PARTIAL}`
  const writer = await create(partial, sizeBytes)
  let isPublished = false
  return {
    path: partial,
    writer,
    async publish() {
      await giveName(partial, path)
      isPublished = true
      await writer[Symbol.asyncDispose]()
    },
    async [Symbol.asyncDispose]() {
      // While it is locked: once it is closed, it may be another's.
      if (!isPublished) await unlink(partial).catch(() => undefined)
      await writer[Symbol.asyncDispose]()
    },
  }
}

const create = async (partial: string, sizeBytes: number): Promise<RawFileWriter> => {
  await removeLeftover(partial)
  const writer = await createRawDisk(partial, sizeBytes).catch((error: unknown) => {
    throw isGranaryError(error) && error.code === 'GRANARY_EXISTS' ? inUse(partial) : error
  })
  const native = await loadNative()
  const isOurs =
    (native?.flock(writer.fileDescriptor, 'exclusive') ?? true) &&
    (await fileIdentity(partial)) === (await fileIdentity(writer.fileDescriptor))
  if (isOurs) return writer
  await writer[Symbol.asyncDispose]() // Another process took it for a leftover in the moment before it was locked.
  throw inUse(partial)
}

const removeLeftover = async (partial: string): Promise<void> => {
  const native = await loadNative()
  try {
    await using file = await open(partial, constants.O_RDWR | constants.O_NOFOLLOW)
    if (native?.flock(file.fd, 'exclusive') === false) throw inUse(partial)
    await unlink(partial)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fromSystemError(error, `removing ${partial}`)
  }
}

/** Never over a file that came to be meanwhile, where the file system has hard links. */
export const giveName = async (partial: string, path: string): Promise<void> => {
  try {
    await link(partial, path)
    await unlink(partial)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (!(code === 'EPERM' || code === 'ENOSYS' || code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'EMLINK'))
      throw fromSystemError(error, `naming ${path}`, { detail: { path } })
    await rename(partial, path).catch((cause: unknown) => {
      throw fromSystemError(cause, `naming ${path}`, { detail: { path } })
    })
  }
  await using folder = await open(dirname(path), constants.O_RDONLY)
  await folder.sync()
}

const inUse = (partial: string): GranaryError =>
  new GranaryError('GRANARY_LOCKED', `${partial}: another process writes this file`, {
    detail: { path: partial },
    retryable: true,
    hint: 'wait for it to end, or give another target',
  })
