/** Writes a disk where a command was told to: a new file (complete or not there), an existing one, a device, or standard output. @module */
import { stat } from 'node:fs/promises'
import { GranaryError, copyDisk, copyStream, fromSystemError, openRawWriter, streamWriter } from '@granary/core'
import type { CopyCounts, DiskReader, DiskStream, OnProgress, RawWriter } from '@granary/core'
import type { Terminal } from '../terminal/terminal.ts'
import { parseDiskAddress } from './disk-address.ts'
import { fileIdentity } from './file-identity.ts'
import { createPartialFile } from './partial-file.ts'

export interface WriteOptions {
  readonly terminal: Terminal
  readonly signal: AbortSignal
  /** Write to an existing target, and only what differs. */
  readonly overwriteDifferent: boolean
  readonly onProgress: OnProgress
  /** Identities of the files the disk is read from. @default none */
  readonly sourceFiles?: readonly string[]
}

/** Large pieces: a stored disk fetches and opens what lies side by side in a pack together. */
const BUFFER_BYTES = 4 * 1024 * 1024
const CONCURRENCY = 3

/** How a stored disk that is copied as a whole is opened: chunks are decoded on other threads, and none is needed twice. */
export const COPY_TUNING = { threads: 1, readAheadBytes: 0, cacheBytes: 16 * 1024 * 1024 } as const

const isReader = (disk: DiskReader | DiskStream): disk is DiskReader => 'extents' in disk

/** @throws GranaryError `GRANARY_EXISTS` when the target is there and nobody said to overwrite it */
export const writeTarget = async (
  disk: DiskReader | DiskStream,
  text: string,
  options: WriteOptions,
): Promise<CopyCounts> => {
  const address = parseDiskAddress(text)
  if (address.kind === 'stream') return await writeStdout(disk, options)
  if (address.kind !== 'raw') {
    throw new GranaryError('GRANARY_UNSUPPORTED', `${text}: disks are written as raw files, to devices, or to -`, {
      hint: 'write raw:FILE; `qemu-img convert` makes another format of it',
    })
  }
  const kind = await kindOf(address.path)
  if (kind === 'none') return await writeNew(disk, address.path, options)
  if (!options.overwriteDifferent) {
    throw new GranaryError('GRANARY_EXISTS', `${address.path} exists`, {
      detail: { path: address.path },
      hint: '--overwrite-different writes to it what differs; or give another path',
    })
  }
  await refuseOwnSource(address.path, options.sourceFiles ?? [])
  return await writeExisting(disk, address.path, kind, options)
}

/** Written over while it is read, a disk is lost: as soon as formats differ, or a backing file is the target. */
const refuseOwnSource = async (path: string, sourceFiles: readonly string[]): Promise<void> => {
  const identity = await fileIdentity(path)
  if (identity === undefined || !sourceFiles.includes(identity)) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is what the disk is read from`, {
    detail: { path },
    hint: 'give another target',
  })
}

const kindOf = async (path: string): Promise<'none' | 'file' | 'device'> => {
  try {
    return (await stat(path)).isBlockDevice() ? 'device' : 'file'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none'
    throw fromSystemError(error, `looking at ${path}`)
  }
}

const writeStdout = async (
  disk: DiskReader | DiskStream,
  { terminal, signal, onProgress }: WriteOptions,
): Promise<CopyCounts> => {
  if (!isReader(disk)) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'from standard input to standard output there is nothing to do')
  }
  return await streamWriter(terminal.streams.stdout, 'standard output').writeDisk(disk, { signal, onProgress })
}

const copy = async (
  disk: DiskReader | DiskStream,
  writer: RawWriter,
  options: WriteOptions,
  differencesOnly: boolean,
): Promise<CopyCounts> => {
  const { signal, onProgress } = options
  return isReader(disk)
    ? await copyDisk(disk, writer, {
        signal,
        onProgress,
        differencesOnly,
        bufferBytes: BUFFER_BYTES,
        concurrency: CONCURRENCY,
      })
    : await copyStream(disk, writer, { signal, onProgress, differencesOnly })
}

const writeNew = async (disk: DiskReader | DiskStream, path: string, options: WriteOptions): Promise<CopyCounts> => {
  await using file = await createPartialFile(path, isReader(disk) ? disk.sizeBytes : 0)
  const counts = await copy(disk, file.writer, options, false)
  await file.publish()
  return counts
}

const writeExisting = async (
  disk: DiskReader | DiskStream,
  path: string,
  kind: 'file' | 'device',
  options: WriteOptions,
): Promise<CopyCounts> => {
  const writer = await openRawWriter(path)
  try {
    if (kind === 'file' && isReader(disk) && writer.sizeBytes !== disk.sizeBytes) await writer.resize?.(disk.sizeBytes)
    return await copy(disk, writer, options, true)
  } finally {
    await writer[Symbol.asyncDispose]()
  }
}
