/** Writes a disk where a command was told to: a new file (complete or not there), an existing one, a device, or standard output. @module */
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { GranaryError, copyDisk, copyStream, fromSystemError, openRawWriter, streamWriter } from '@granary/core'
import type {
  ComparableTarget,
  CopyCounts,
  DiskReader,
  DiskStream,
  DiskWriter,
  OnProgress,
  RawWriter,
} from '@granary/core'
import type { Terminal } from '../terminal/terminal.ts'
import { parseDiskAddress } from './disk-address.ts'
import { fileIdentity } from './file-identity.ts'
import { nbdSource } from './open-source.ts'
import { createPartialFile } from './partial-file.ts'
import { expectNoQemu } from './qemu-lock.ts'

export interface WriteOptions {
  readonly terminal: Terminal
  readonly signal: AbortSignal
  /** Write to an existing target, and only what differs. */
  readonly overwriteDifferent: boolean
  /** How a new qcow2 image is compressed. @default not at all */
  readonly compression?: 'zlib' | 'zstd' | undefined
  readonly onProgress: OnProgress
  /** Identities of the files the disk is read from. @default none */
  readonly sourceFiles?: readonly string[]
}

/** Large pieces: a stored disk fetches and opens what lies side by side in a pack together. */
const BUFFER_BYTES = 4 * 1024 * 1024
const CONCURRENCY = 3

/** Threads that decode chunks: with what the kernel does to write, one keeps two processors busy, and two keep more. */
const DECODE_THREADS = availableParallelism() > 2 ? 2 : 1

/** How a stored disk that is copied as a whole is opened: chunks are decoded on other threads, and none is needed twice. */
export const COPY_TUNING = { threads: DECODE_THREADS, readAheadBytes: 0, cacheBytes: 16 * 1024 * 1024 } as const

const isReader = (disk: DiskReader | DiskStream): disk is DiskReader => 'extents' in disk

/** @throws GranaryError `GRANARY_EXISTS` when the target is there and nobody said to overwrite it */
export const writeTarget = async (
  disk: DiskReader | DiskStream,
  text: string,
  options: WriteOptions,
): Promise<CopyCounts> => {
  const address = parseDiskAddress(text)
  if (address.kind === 'stream') return await writeStdout(disk, options)
  if (address.kind === 'granary') {
    throw new GranaryError('GRANARY_UNSUPPORTED', `${text}: what is stored is never written to`, {
      hint: '`granary backup` stores a disk',
    })
  }
  if (options.compression !== undefined && address.kind !== 'qcow2')
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text}: only qcow2 images are compressed`)
  if (address.kind === 'nbd') return await writeExport(disk, address.uri, options)
  if (address.kind === 'qcow2') return await writeImage(disk, address.path, options)
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

const expectReader = (disk: DiskReader | DiskStream, what: string): DiskReader => {
  if (isReader(disk)) return disk
  throw new GranaryError('GRANARY_UNSUPPORTED', `a stream, whose size shows at its end, is not written to ${what}`, {
    hint: 'write raw:FILE first',
  })
}

/** An export has content already, as a device has: it is written over only when that is meant. */
const writeExport = async (disk: DiskReader | DiskStream, uri: string, options: WriteOptions): Promise<CopyCounts> => {
  const reader = expectReader(disk, 'an NBD export')
  const target = await nbdSource(uri)
  if (!options.overwriteDifferent) {
    throw new GranaryError('GRANARY_EXISTS', `${target} exists`, {
      detail: { target },
      hint: '--overwrite-different writes to it what differs',
    })
  }
  if (options.sourceFiles?.includes(target) === true)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${target} is what the disk is read from`, {
      detail: { target },
      hint: 'give another target',
    })
  const { connectNbd } = await import('@granary/nbd')
  await using writer = await connectNbd(uri, { signal: options.signal })
  return await copyReader(reader, writer, options, true)
}

/** What QEMU compresses with, too. */
const COMPRESSION_LEVELS = { zlib: 6, zstd: 3 } as const

/** Always a new image, complete or not there. */
const writeImage = async (disk: DiskReader | DiskStream, path: string, options: WriteOptions): Promise<CopyCounts> => {
  const reader = expectReader(disk, 'a qcow2 image')
  if ((await kindOf(path)) !== 'none') {
    throw new GranaryError('GRANARY_EXISTS', `${path} exists, and images are only made anew`, {
      detail: { path },
      hint: 'give another path',
    })
  }
  const { compression } = options
  const { createQcow2, openFileToWrite } = await import('@granary/qcow2')
  await using partial = await createPartialFile(path, 0)
  const file = await openFileToWrite(partial.path)
  try {
    await createQcow2(file, { sizeBytes: reader.sizeBytes, ...(compression === undefined ? {} : { compression }) })
  } finally {
    await file[Symbol.asyncDispose]?.()
  }
  const counts = await writeInto(reader, partial.path, options)
  await partial.publish()
  return counts
}

const writeInto = async (reader: DiskReader, path: string, options: WriteOptions): Promise<CopyCounts> => {
  const { compression } = options
  const { openFileToWrite, openQcow2Writer } = await import('@granary/qcow2')
  await using image = await openQcow2Writer(
    await openFileToWrite(path),
    compression === undefined ? {} : { compressionLevel: COMPRESSION_LEVELS[compression] },
  )
  return await copyReader(reader, image, options, false)
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

const copyReader = async (
  reader: DiskReader,
  writer: DiskWriter | ComparableTarget,
  { signal, onProgress }: WriteOptions,
  differencesOnly: boolean,
): Promise<CopyCounts> =>
  await copyDisk(reader, writer, {
    signal,
    onProgress,
    differencesOnly,
    bufferBytes: BUFFER_BYTES,
    concurrency: CONCURRENCY,
  })

const copy = async (
  disk: DiskReader | DiskStream,
  writer: RawWriter,
  options: WriteOptions,
  differencesOnly: boolean,
): Promise<CopyCounts> => {
  const { signal, onProgress } = options
  return isReader(disk)
    ? await copyReader(disk, writer, options, differencesOnly)
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
  await expectNoQemu(path)
  const writer = await openRawWriter(path)
  try {
    if (kind === 'file' && isReader(disk) && writer.sizeBytes !== disk.sizeBytes) await writer.resize?.(disk.sizeBytes)
    return await copy(disk, writer, options, true)
  } finally {
    await writer[Symbol.asyncDispose]()
  }
}
