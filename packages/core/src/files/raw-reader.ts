/** Raw files and block devices as disks to read. @module */
import { constants } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import type { Bytes } from '../bytes.ts'
import { checkRange } from '../check-range.ts'
import type { DiskReader, Extent, ExtentOptions } from '../disk.ts'
import { GranaryError } from '../errors.ts'
import type { Native } from '../native/native.ts'
import { fromSystemError } from '../system-error.ts'
import { openRawFile } from './raw-file.ts'
import type { RawFile, RawKind, RawOptions } from './raw-file.ts'

/** Page size: what the page cache and nearly every file system work in. */
export const RAW_BLOCK_BYTES = 4096

/** One pread(2) takes at most 2 GiB less a page; this is below and a power of two. */
const MAX_TRANSFER_BYTES = 1024 ** 3

/** Seeks are synchronous: a file in a million pieces must not keep the event loop waiting. */
const SEEKS_PER_TURN = 256

/** A raw file or block device open for reading. */
export interface RawReader extends DiskReader {
  readonly path: string
  readonly kind: RawKind
  /**
   * Valid until the disk is closed, on every thread of the process: a worker may `readSync` from it, with positions.
   * Whoever hands it to a worker waits for that worker before closing the disk.
   */
  readonly fileDescriptor: number
}

/**
 * Opens a raw file or block device. Its size is pinned now: a file that grows is read up to here, one that shrinks is an
 * error (`GRANARY_SIZE`) where it ends.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND`, `GRANARY_PERMISSION`; `GRANARY_UNSUPPORTED` when the path is no file or block device
 */
export const openRawReader = async (path: string, options: RawOptions = {}): Promise<RawReader> =>
  rawReader(await openRawFile(path, constants.O_RDONLY, options))

/** The reading side of an open file. */
export const rawReader = (file: RawFile): RawReader => ({
  path: file.path,
  kind: file.kind,
  fileDescriptor: file.handle.fd,
  sizeBytes: file.sizeBytes,
  blockBytes: RAW_BLOCK_BYTES,
  async read(offset, target, { signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, target.length, file.sizeBytes)
    for (let done = 0; done < target.length;) {
      signal?.throwIfAborted()
      const got = await readSome(file, offset + done, target.subarray(done, done + MAX_TRANSFER_BYTES))
      if (got === 0) throw shrunk(file, offset + done)
      done += got
    }
  },
  extents: options => rawExtents(file, options),
  async [Symbol.asyncDispose]() {
    await file.handle.close()
  },
})

const readSome = async ({ handle, path }: RawFile, position: number, target: Bytes): Promise<number> => {
  try {
    const { bytesRead } = await handle.read(target, 0, target.length, position)
    return bytesRead
  } catch (error) {
    throw fromSystemError(error, `reading ${path} at ${position}`, { detail: { path, offset: position } })
  }
}

/** Without native calls, and on devices, everything is `data`, which promises nothing: the zero scan of the reader finds the rest. */
async function* rawExtents(
  file: RawFile,
  { offset = 0, length = file.sizeBytes - offset, signal }: ExtentOptions = {},
): AsyncGenerator<Extent, void, undefined> {
  checkRange(offset, length, file.sizeBytes)
  signal?.throwIfAborted()
  if (length === 0) return
  if (file.native === undefined || file.kind === 'device') {
    yield { offset, length, kind: 'data', fileOffset: offset }
    return
  }
  const end = offset + length
  for (let at = offset, seeks = 1; at < end; seeks++) {
    if (seeks % SEEKS_PER_TURN === 0) await setImmediate()
    signal?.throwIfAborted()
    const dataAt = Math.min(await seekOrEnd(file, 'seekData', at, end), end)
    if (dataAt > at) yield { offset: at, length: dataAt - at, kind: 'hole' }
    if (dataAt === end) return
    const holeAt = Math.min(await seekOrEnd(file, 'seekHole', dataAt, end), end)
    if (holeAt > dataAt) yield { offset: dataAt, length: holeAt - dataAt, kind: 'data', fileOffset: dataAt }
    at = holeAt
  }
}

/** Where the next data or hole begins; `end` when there is none and the file is still that long. */
const seekOrEnd = async (
  file: RawFile,
  call: keyof Pick<Native, 'seekData' | 'seekHole'>,
  at: number,
  end: number,
): Promise<number> => {
  try {
    const found = file.native?.[call](file.handle.fd, at)
    if (found !== undefined) return found
    // The same answer as for a last hole comes when the file was cut below `at`. That must not pass as zeros.
    const { size } = await file.handle.stat()
    if (size >= file.sizeBytes) return end
    throw shrunk(file, Math.max(size, at))
  } catch (error) {
    throw fromSystemError(error, `looking for holes in ${file.path} at ${at}`, {
      detail: { path: file.path, offset: at },
    })
  }
}

const shrunk = ({ path, sizeBytes }: RawFile, offset: number): GranaryError =>
  new GranaryError('GRANARY_SIZE', `${path} ends at ${offset}: it was ${sizeBytes} bytes long when it was opened`, {
    detail: { path, offset, sizeBytes },
    hint: 'Something cut the source while it was read. Stop that, and run it again.',
  })
