/** Key files: exactly 32 raw bytes, the key-encryption key of their slot. @module */
import { randomBytes } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'

export const KEY_FILE_BYTES = 32

const ANYONE_ELSE = 0o077

export interface KeyFile {
  /** 32 bytes. */
  readonly key: Bytes
  /** What is unwise about the file: others may read it. For the caller to show; it is no reason to refuse. */
  readonly warning?: string
}

/**
 * The key in a file.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND`, `GRANARY_PERMISSION` or `GRANARY_IO` when it can't be read
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it isn't exactly 32 bytes
 */
export const readKeyFile = async (path: string): Promise<KeyFile> => {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw fileError(error, path)
  })
  try {
    const { bytes, length } = await readAtMost(handle, KEY_FILE_BYTES + 1)
    if (length !== KEY_FILE_BYTES) throw wrongLength(path, length)
    const warning = permissionWarning((await handle.stat()).mode, path)
    return { key: bytes.slice(0, KEY_FILE_BYTES), ...(warning === undefined ? {} : { warning }) }
  } catch (error) {
    throw fileError(error, path)
  } finally {
    await handle.close()
  }
}

/**
 * Writes a key to a file that must not exist, readable by its owner only, and waits until it is on disk.
 *
 * @param key 32 bytes. @default a new random one
 * @returns the key
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the key is not 32 bytes
 * @throws GranaryError `GRANARY_EXISTS` when the file is there; `GRANARY_NOT_FOUND`, `GRANARY_PERMISSION`,
 * `GRANARY_NO_SPACE` or `GRANARY_IO` when it can't be written
 */
export const createKeyFile = async (
  path: string,
  key: Bytes = new Uint8Array(randomBytes(KEY_FILE_BYTES)),
): Promise<Bytes> => {
  checkLength('key', key, KEY_FILE_BYTES)
  await writeSecretFile(path, key)
  return key
}

/**
 * Writes a secret to a file that must not exist, readable by its owner only, and waits until it is on disk. Nothing stays of a
 * file that could not be written whole.
 *
 * @throws GranaryError `GRANARY_EXISTS` when the file is there; `GRANARY_NOT_FOUND`, `GRANARY_PERMISSION`,
 * `GRANARY_NO_SPACE` or `GRANARY_IO` when it can't be written
 */
export const writeSecretFile = async (path: string, content: Bytes): Promise<void> => {
  const handle = await open(path, 'wx', 0o600).catch((error: unknown) => {
    throw fileError(error, path)
  })
  try {
    await using file = handle
    await file.writeFile(content)
    await file.sync()
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(path, { force: true }) // Half a key must not be found by the next run.
    throw fileError(error, path)
  }
}

/** Makes a new name in a folder lasting. Windows has no such call. */
const syncFolder = async (path: string): Promise<void> => {
  if (process.platform === 'win32') return
  await using folder = await open(path, 'r')
  await folder.sync()
}

/** Reads to the end, or one byte too far: the length of a pipe is known only so. */
const readAtMost = async (handle: FileHandle, most: number): Promise<{ bytes: Bytes; length: number }> => {
  const bytes = new Uint8Array(most)
  let length = 0
  while (length < most) {
    const { bytesRead } = await handle.read(bytes, length, most - length, null)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return { bytes, length }
}

const permissionWarning = (mode: number, path: string): string | undefined => {
  if (process.platform === 'win32' || (mode & ANYONE_ELSE) === 0) return undefined
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  return `${path} has mode ${octal}: others on this machine may read the key. chmod 600 mends that.`
}

const wrongLength = (path: string, length: number): GranaryError => {
  const got = length > KEY_FILE_BYTES ? `more than ${KEY_FILE_BYTES}` : String(length)
  return new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `key file ${path}: expected ${KEY_FILE_BYTES} bytes, found ${got}`,
    {
      detail: { path, expected: KEY_FILE_BYTES, got },
      hint: 'A key file is exactly 32 raw bytes, with no line end. Text (hexadecimal, a printed page) is not a key file: import it.',
    },
  )
}

const CODES = {
  ENOENT: 'GRANARY_NOT_FOUND',
  EEXIST: 'GRANARY_EXISTS',
  EACCES: 'GRANARY_PERMISSION',
  EPERM: 'GRANARY_PERMISSION',
  EROFS: 'GRANARY_PERMISSION',
  ENOSPC: 'GRANARY_NO_SPACE',
  EDQUOT: 'GRANARY_NO_SPACE',
} as const

const fileError = (error: unknown, path: string): unknown => {
  if (error instanceof GranaryError) return error
  const { code = 'EIO' } = error as NodeJS.ErrnoException
  return new GranaryError(CODES[code as keyof typeof CODES] ?? 'GRANARY_IO', `key file ${path}: ${code}`, {
    detail: { path, code },
    cause: error,
  })
}
