/** A file of the file system behind the port. @module */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { GranaryError } from '@granary/core'
import type { ErrorCode } from '@granary/core'
import type { RandomFile, WritableFile } from './random-file.ts'

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'GRANARY_NOT_FOUND',
  ENOTDIR: 'GRANARY_NOT_FOUND',
  EACCES: 'GRANARY_PERMISSION',
  EPERM: 'GRANARY_PERMISSION',
  EROFS: 'GRANARY_PERMISSION',
  EEXIST: 'GRANARY_EXISTS',
  ENOSPC: 'GRANARY_NO_SPACE',
  EDQUOT: 'GRANARY_NO_SPACE',
}

/** An error of the operating system as ours. */
export const fileError = (cause: unknown, doing: string): GranaryError => {
  const errno = (cause as { code?: unknown }).code
  const name = typeof errno === 'string' ? errno : 'unknown'
  return new GranaryError(CODES[name] ?? 'GRANARY_IO', `${doing}: ${(cause as Error).message}`, {
    cause,
    detail: { errno: name },
  })
}

/** Longest single request to the operating system, bytes: well inside what every platform takes at once. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024

const readWhole = async (handle: FileHandle, offset: number, target: Uint8Array): Promise<void> => {
  for (let done = 0; done < target.length;) {
    const length = Math.min(target.length - done, MAX_REQUEST_BYTES)
    const { bytesRead } = await handle.read(target, done, length, offset + done)
    if (bytesRead === 0) {
      throw new GranaryError('GRANARY_SIZE', `the file ended at ${offset + done} while it was read`, {
        detail: { offset: offset + done, wanted: target.length - done },
      })
    }
    done += bytesRead
  }
}

const writeWhole = async (handle: FileHandle, offset: number, bytes: Uint8Array): Promise<void> => {
  for (let done = 0; done < bytes.length;) {
    const length = Math.min(bytes.length - done, MAX_REQUEST_BYTES)
    done += (await handle.write(bytes, done, length, offset + done)).bytesWritten
  }
}

/** An opened regular file. The file is closed with the disk that is opened over it. */
const fileFromHandle = async (handle: FileHandle): Promise<WritableFile> => {
  const stats = await handle.stat({ bigint: true })
  let size = Number(stats.size)
  let isOpen = true
  const guard = async <Result>(doing: string, action: () => Promise<Result>): Promise<Result> => {
    try {
      return await action()
    } catch (error) {
      if (error instanceof GranaryError) throw error
      throw fileError(error, doing)
    }
  }
  return {
    identity: `${stats.dev}:${stats.ino}`,
    get sizeBytes() {
      return size
    },
    read: (offset, target) => guard('reading the image', () => readWhole(handle, offset, target)),
    write: (offset, bytes) =>
      guard('writing the image', async () => {
        await writeWhole(handle, offset, bytes)
        size = Math.max(size, offset + bytes.length)
      }),
    truncate: sizeBytes =>
      guard('resizing the image', async () => {
        await handle.truncate(sizeBytes)
        size = sizeBytes
      }),
    flush: () => guard('flushing the image', () => handle.datasync()),
    async [Symbol.asyncDispose]() {
      if (!isOpen) return
      isOpen = false
      await handle.close()
    },
  }
}

/** Opens a regular file: never a device, a FIFO (which would hang) or a folder. */
const openRegular = async (path: string, flags: number): Promise<FileHandle> => {
  let handle: FileHandle
  try {
    handle = await open(path, flags | constants.O_NONBLOCK)
  } catch (error) {
    throw fileError(error, `opening ${path}`)
  }
  const stats = await handle.stat()
  if (stats.isFile()) return handle
  await handle.close()
  throw new GranaryError('GRANARY_UNSUPPORTED', `${path} is not a regular file`, { detail: { path } })
}

/**
 * Opens a regular file to read.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND`, `GRANARY_PERMISSION`, `GRANARY_UNSUPPORTED` (not a regular file), `GRANARY_IO`
 */
export const openFileToRead = async (path: string, flags = 0): Promise<RandomFile> =>
  await fileFromHandle(await openRegular(path, constants.O_RDONLY | flags))

/** Opens a regular file to change it. @throws GranaryError as `openFileToRead` */
export const openFileToWrite = async (path: string): Promise<WritableFile> =>
  await fileFromHandle(await openRegular(path, constants.O_RDWR))

/** Makes a new file. @throws GranaryError `GRANARY_EXISTS` when it is there already, else as `openFileToRead` */
export const createFile = async (path: string): Promise<WritableFile> =>
  await fileFromHandle(await openRegular(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL))
