/** Makes images. @module */
import { GranaryError } from '@granary/core'
import { MAX_CLUSTER_BITS, MAX_L1_BYTES, MIN_CLUSTER_BITS, MIN_EXTENDED_L2_CLUSTER_BITS, overLimit } from './format.ts'
import { l1EntriesFor } from './header.ts'
import type { Compression, Qcow2Header } from './header.ts'
import { encodeHeader } from './header-writer.ts'
import { Allocator } from './allocator.ts'
import { RefcountStore } from './refcounts.ts'
import { openImageWriter } from './open-writer.ts'
import type { WritableFile } from './random-file.ts'

export interface CreateQcow2Options {
  /** Virtual size, bytes; rounded up to 512. */
  readonly sizeBytes: number
  /** A power of two from 512 to 2 MiB. @default 65536 */
  readonly clusterBytes?: number
  /** What compressed clusters are compressed with. @default 'zlib', which every QEMU reads */
  readonly compression?: Compression
  /** 1, 2, 4 to 64. @default 16 */
  readonly refcountBits?: number
  /** Allocate in 32nds of a cluster. Needs clusters of 16 KiB or more. @default false */
  readonly extendedL2?: boolean
  readonly lazyRefcounts?: boolean
  /**
   * Give every cluster its place now: `metadata` leaves the file sparse, `full` writes zeros. Not with a backing file.
   *
   * @default 'off'
   */
  readonly preallocation?: 'off' | 'metadata' | 'full'
  /** Shown where the image has nothing. The format must be stated: nobody should have to guess it. */
  readonly backing?: { readonly name: string; readonly format: 'raw' | 'qcow2' }
}

const invalid = (message: string): GranaryError => new GranaryError('GRANARY_INVALID_ARGUMENT', `qcow2: ${message}`)

/**
 * Writes an empty image over whatever `file` holds. The header comes last: until then nothing takes the file for an image.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT`, or `GRANARY_LIMIT` when the disk is too large for its cluster size
 */
export const createQcow2 = async (file: WritableFile, options: CreateQcow2Options): Promise<void> => {
  const header = initialHeader(options)
  const { clusterBytes } = header
  if (options.backing !== undefined && (options.preallocation ?? 'off') !== 'off')
    throw invalid('preallocated clusters would hide the backing file')
  await file.truncate(0)
  const allocator = new Allocator(file, clusterBytes, 0)
  const empty = { ...header.refcounts, clusters: 0 }
  const refcounts = new RefcountStore(file, clusterBytes, empty, new Float64Array(), clusters =>
    allocator.append(clusters),
  )
  allocator.refcounts = refcounts
  await allocator.allocate(1)
  const l1Clusters = Math.max(1, Math.ceil((header.l1.entries * 8) / clusterBytes))
  const { offset } = await allocator.allocate(l1Clusters)
  await refcounts.save()
  await file.truncate(allocator.endBytes)
  await file.flush()
  const l1 = { offset, entries: header.l1.entries }
  await file.write(0, encodeHeader({ ...header, l1, refcounts: refcounts.place }))
  await file.flush()
  if (options.preallocation === 'metadata' || options.preallocation === 'full')
    await preallocate(file, options.preallocation === 'full')
}

/** Zeros are written in pieces of this, bytes. */
const ZEROS_BYTES = 1024 * 1024

const preallocate = async (file: WritableFile, isFull: boolean): Promise<void> => {
  const { writer } = await openImageWriter(file, {})
  const { clusterBytes, entryBytes } = writer.editor.format
  const perTable = clusterBytes / entryBytes
  const clusters = Math.ceil(writer.layer.sizeBytes / clusterBytes)
  const zeros = new Uint8Array(ZEROS_BYTES)
  for (let first = 0; first < clusters; first += perTable) {
    await writer.exclusive(async () => {
      await writer.begin()
      await writer.makeRoom()
      const count = Math.min(perTable, clusters - first)
      const table = await writer.editor.tables.change(first / perTable)
      const offset = await writer.clusters.preallocate(table, 0, count)
      for (let at = 0; isFull && at < count * clusterBytes; at += zeros.length)
        await file.write(offset + at, zeros.subarray(0, Math.min(zeros.length, count * clusterBytes - at)))
    })
  }
  await writer.finish()
}

const initialHeader = (options: CreateQcow2Options): Qcow2Header => {
  const { clusterBytes = 65_536, refcountBits = 16, extendedL2 = false, backing } = options
  const clusterBits = Math.log2(clusterBytes)
  const order = Math.log2(refcountBits)
  checkShape(clusterBits, order, extendedL2)
  const size = Math.ceil(options.sizeBytes / 512) * 512
  if (!Number.isSafeInteger(size) || size < 0) throw invalid(`a disk of ${options.sizeBytes} bytes`)
  const entries = l1EntriesFor(size, clusterBits, extendedL2)
  if (entries > MAX_L1_BYTES / 8)
    throw overLimit(`a disk of ${size} bytes needs larger clusters`, { sizeBytes: size, clusterBytes })
  return {
    version: 3,
    clusterBits,
    clusterBytes,
    sizeBytes: size,
    encryption: 'none',
    compression: options.compression ?? 'zlib',
    l1: { offset: 0, entries },
    refcounts: { offset: 0, clusters: 0, order },
    snapshots: { offset: 0, entries: 0 },
    bitmaps: undefined,
    isDirty: false,
    isCorrupt: false,
    hasExtendedL2: extendedL2,
    hasLazyRefcounts: options.lazyRefcounts ?? false,
    hasDataFile: false,
    isDataFileRaw: false,
    dataFileName: undefined,
    backingName: backing?.name,
    backingFormat: backing?.format,
    headerLength: 112,
    extensions: [],
    unknown: { compatible: 0n, fields: new Uint8Array() },
  }
}

const checkShape = (clusterBits: number, order: number, extendedL2: boolean): void => {
  if (!Number.isInteger(clusterBits) || clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS)
    throw invalid(`clusters of ${2 ** clusterBits} bytes: expected a power of two from 512 to 2097152`)
  if (!Number.isInteger(order) || order < 0 || order > 6) throw invalid(`refcounts of ${2 ** order} bits`)
  if (extendedL2 && clusterBits < MIN_EXTENDED_L2_CLUSTER_BITS)
    throw invalid('extended L2 entries need clusters of 16 KiB or more')
}
