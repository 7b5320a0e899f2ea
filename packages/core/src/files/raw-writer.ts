/** Raw files and block devices as disks to write. @module */
import { constants } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Bytes } from '../bytes.ts'
import { checkRange } from '../check-range.ts'
import { checkWhole } from '../check-whole.ts'
import type { DiskWriter, ZeroOptions } from '../disk.ts'
import { GranaryError, isGranaryError } from '../errors.ts'
import { fromSystemError } from '../system-error.ts'
import { zeros } from '../zero-scan.ts'
import { openRawFile } from './raw-file.ts'
import type { RawFile, RawOptions } from './raw-file.ts'
import { RAW_BLOCK_BYTES, rawReader } from './raw-reader.ts'
import type { RawReader } from './raw-reader.ts'

/** Zeroing goes in pieces of this, so that an abort is heard between them. */
const ZERO_PIECE_BYTES = 256 * 1024 ** 2

/**
 * Bytes given to the system at a time. What it is given in one piece it wants to keep in one: a large write makes the page cache
 * find as many pages side by side, where smaller ones take up what was given back last. Of 4 MiB at a time 2.5 GiB took
 * 5.4 s of the system's time (Linux 6.18, ext4, a virtual machine), so 1.4 to 2.4, in a restore of 8.4 and then 5.9 s.
 */
export const WRITE_PIECE_BYTES = 256 * 1024

/** A raw file or block device open for writing; it can be read, too. */
export interface RawWriter extends RawReader, DiskWriter {
  readonly sizeBytes: number
  /**
   * Makes the file longer (reading as zeros) or shorter. Block devices do not have it.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT`; `GRANARY_LIMIT` when the file system takes no file of this size
   */
  resize?(sizeBytes: number): Promise<void>
}

/** A raw file open for writing. */
export interface RawFileWriter extends RawWriter {
  resize(sizeBytes: number): Promise<void>
}

/**
 * Opens an existing file or block device for writing, content and size as they are.
 *
 * @throws GranaryError as `openRawReader`, and `GRANARY_LOCKED` when the device is mounted
 */
export const openRawWriter = async (path: string, options: RawOptions = {}): Promise<RawWriter> => {
  const file = await openRawFile(path, constants.O_RDWR, options)
  const writer: RawWriter = rawWriter(file, { readsZero: false, isNew: false })
  if (file.kind === 'device') delete writer.resize
  return writer
}

export interface CreateRawOptions extends RawOptions {
  /** Replace an existing file. @default false */
  readonly overwrite?: boolean
}

/**
 * Creates a sparse file that reads as zeros.
 *
 * @throws GranaryError `GRANARY_EXISTS` when the path exists and `overwrite` is not given; `GRANARY_INVALID_ARGUMENT` when it is a device
 */
export const createRawDisk = async (
  path: string,
  sizeBytes: number,
  { overwrite = false, native }: CreateRawOptions = {},
): Promise<RawFileWriter> => {
  const options: RawOptions = native === undefined ? {} : { native }
  const { file, isNew } = await createOrOpen(path, overwrite, options)
  try {
    if (file.kind === 'device') {
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is a block device, which cannot be created`, {
        detail: { path },
        hint: 'Write to it as an existing target.',
      })
    }
    if (!isNew) await resize(file, 0)
    await resize(file, sizeBytes)
    return rawWriter(file, { readsZero: true, isNew })
  } catch (error) {
    await file.handle.close()
    if (isNew) await unlink(path)
    throw error
  }
}

const createOrOpen = async (
  path: string,
  overwrite: boolean,
  options: RawOptions,
): Promise<{ file: RawFile; isNew: boolean }> => {
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
    return { file: await openRawFile(path, flags, options), isNew: true }
  } catch (error) {
    if (!(overwrite && isGranaryError(error) && error.code === 'GRANARY_EXISTS')) throw error
    return { file: await openRawFile(path, constants.O_RDWR, options), isNew: false }
  }
}

const rawWriter = (file: RawFile, { readsZero, isNew }: { readsZero: boolean; isNew: boolean }): RawFileWriter => {
  let isNameDurable = !isNew
  return {
    ...rawReader(file),
    get sizeBytes() {
      return file.sizeBytes
    },
    readsZero,
    async write(offset, bytes, { signal } = {}) {
      signal?.throwIfAborted()
      checkRange(offset, bytes.length, file.sizeBytes)
      await writeAll(file, offset, bytes, signal)
    },
    async zero(offset, length, options) {
      await zeroRange(file, offset, length, options)
    },
    async flush({ signal } = {}) {
      signal?.throwIfAborted()
      await attempt(file, 'flushing', () => file.handle.datasync())
      if (isNameDurable) return
      await attempt(file, 'flushing the folder of', () => syncFolder(dirname(file.path)))
      isNameDurable = true
    },
    async resize(sizeBytes) {
      await resize(file, sizeBytes)
    },
  }
}

const writeAll = async (
  file: RawFile,
  offset: number,
  bytes: Bytes,
  signal: AbortSignal | undefined,
): Promise<void> => {
  for (let done = 0; done < bytes.length;) {
    signal?.throwIfAborted()
    const at = offset + done
    const length = Math.min(WRITE_PIECE_BYTES, bytes.length - done)
    const { bytesWritten } = await attempt(file, `writing at ${at} to`, () =>
      file.handle.write(bytes, done, length, at),
    )
    done += bytesWritten
  }
}

const zeroRange = async (
  file: RawFile,
  offset: number,
  length: number,
  { punch = false, signal }: ZeroOptions = {},
): Promise<void> => {
  checkRange(offset, length, file.sizeBytes)
  signal?.throwIfAborted()
  // Devices take whole blocks only; what sticks out at either end is written.
  const unit = file.kind === 'device' ? RAW_BLOCK_BYTES : 1
  const end = offset + length
  const innerStart = Math.min(Math.ceil(offset / unit) * unit, end)
  const innerEnd = Math.max(Math.floor(end / unit) * unit, innerStart)
  await writeZeros(file, offset, innerStart - offset, signal)
  for (let at = innerStart; at < innerEnd; at += ZERO_PIECE_BYTES) {
    signal?.throwIfAborted()
    const pieceBytes = Math.min(ZERO_PIECE_BYTES, innerEnd - at)
    if (!(await zeroNatively(file, at, pieceBytes, punch))) await writeZeros(file, at, pieceBytes, signal)
  }
  await writeZeros(file, innerEnd, end - innerEnd, signal)
}

const zeroNatively = async (
  { native, handle, kind }: RawFile,
  offset: number,
  length: number,
  punch: boolean,
): Promise<boolean> => {
  if (native === undefined) return false
  if (punch && (await native.punchHole(handle.fd, offset, length))) return true
  // A file that cannot be punched is not made to take more space, either; zeroing a device takes none.
  return punch && kind === 'file' ? false : await native.zeroRange(handle.fd, offset, length)
}

const writeZeros = async (
  file: RawFile,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<void> => {
  for (let at = offset; at < offset + length;) {
    const piece = zeros(offset + length - at)
    await writeAll(file, at, piece, signal)
    at += piece.length
  }
}

const resize = async (file: RawFile, sizeBytes: number): Promise<void> => {
  checkWhole('sizeBytes', sizeBytes, { min: 0 })
  await attempt(file, `giving ${sizeBytes} bytes to`, () => file.handle.truncate(sizeBytes))
  file.sizeBytes = sizeBytes
}

/** A new file's name is durable only when its folder is. */
const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const attempt = async <Result>(file: RawFile, what: string, call: () => Promise<Result>): Promise<Result> => {
  try {
    return await call()
  } catch (error) {
    throw fromSystemError(error, `${what} ${file.path}`, { detail: { path: file.path } })
  }
}
