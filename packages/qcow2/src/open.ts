/** Opens an image, with the files it names where the caller allows them, as a disk. @module */
import { GranaryError, checkRange } from '@granary/core'
import type { DiskReader, ExtentOptions, ZstdEngine } from '@granary/core'
import { CodecPool, defaultWorkers } from './codec-pool.ts'
import { pooledReader } from './pooled-codec.ts'
import { bitmapRanges, readBitmaps } from './bitmaps.ts'
import type { DirtyRange, Qcow2Bitmap } from './bitmaps.ts'
import { BoundedCache } from './bounded-cache.ts'
import { ClusterMap, fileTables, readL1 } from './cluster-map.ts'
import { entryFormat } from './cluster-runs.ts'
import { decompressorFor } from './decompress.ts'
import type { Decompressor } from './decompress.ts'
import { unsupported } from './format.ts'
import { l1EntriesFor, readHeader } from './header.ts'
import type { Qcow2Header, TablePlace } from './header.ts'
import { infoOf } from './info.ts'
import type { Qcow2Info } from './info.ts'
import { layerExtents } from './layer-extents.ts'
import { readLayer } from './layer.ts'
import type { Layer } from './layer.ts'
import { openFileToRead } from './node-file.ts'
import type { RandomFile } from './random-file.ts'
import { extendChain, openDataFile, refuseReferences, resolvedDisk } from './references.ts'
import type { Chain, ResolveReference } from './references.ts'
import { findSnapshot, readSnapshots } from './snapshots.ts'
import type { Qcow2Snapshot } from './snapshots.ts'
import { withDirty } from './dirty-extents.ts'

export interface OpenQcow2Options {
  /** Read as QEMU does: what lies past the end of the file is zeros, not damage. @default false */
  readonly lenient?: boolean
  /** Asked for every file the image names. @default refuses */
  readonly resolve?: ResolveReference
  /** Shown where the image has nothing, whatever the image names. The disk owns it. */
  readonly backingDisk?: DiskReader
  /** Where the image is, for `resolve` to find what it names. */
  readonly location?: string
  /** Most bytes of L2 tables kept, and of decompressed clusters, for the image itself; a quarter for each one below. @default 8 MiB */
  readonly cacheBytes?: number
  /** The internal snapshot of this id or name instead of the active disk. */
  readonly snapshot?: string
  /** The bitmap that `extents()` takes `dirty` from. */
  readonly bitmap?: string
  /** Threads that decompress, started when there is enough to do; 0: none. @default as many as processors, at most 4 */
  readonly workers?: number
  /** Used instead of what is best on this machine, and then without workers. */
  readonly zstd?: ZstdEngine
}

/** A qcow2 image as a disk. */
export interface Qcow2Disk extends DiskReader {
  info(): Qcow2Info
  /** @throws GranaryError `GRANARY_CORRUPT` when the table is damaged */
  snapshots(): Promise<Qcow2Snapshot[]>
  /** @throws GranaryError `GRANARY_CORRUPT` when the directory is damaged */
  bitmaps(): Promise<Qcow2Bitmap[]>
  /**
   * A snapshot as a disk of its own, good for as long as this one is open.
   *
   * @param snapshot its id, or else its name
   * @throws GranaryError `GRANARY_NOT_FOUND`, or `GRANARY_CORRUPT` when its table is damaged
   */
  openSnapshot(snapshot: string): Promise<DiskReader>
  /**
   * The ranges of the active disk that a bitmap calls changed or not.
   *
   * @throws GranaryError `GRANARY_NOT_FOUND`; `GRANARY_CORRUPT` when it is in use or damaged
   */
  dirtyRanges(bitmap: string, options?: ExtentOptions): AsyncIterable<DirtyRange>
}

export const DEFAULT_CACHE_BYTES = 8 * 1024 * 1024

/**
 * Opens an image. The disk owns `file` from here on: it is closed with the disk, and when opening fails.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when the image is damaged; `GRANARY_UNSUPPORTED` when it is encrypted, uses
 *   features that are not known, or names files that may not be opened; `GRANARY_LIMIT` when it is too large
 */
export const openQcow2 = async (file: RandomFile, options: OpenQcow2Options = {}): Promise<Qcow2Disk> =>
  await openInChain(file, options, { depth: 0, identities: [], pool: poolFor(options) })

export const poolFor = ({ workers = defaultWorkers(), zstd }: Pick<OpenQcow2Options, 'workers' | 'zstd'>): CodecPool =>
  new CodecPool(zstd === undefined ? workers : 0)

/** Opens an image in a file of the file system. @throws GranaryError as `openQcow2`, and `GRANARY_NOT_FOUND`, `GRANARY_PERMISSION`, `GRANARY_IO` */
export const openQcow2File = async (path: string, options: OpenQcow2Options = {}): Promise<Qcow2Disk> =>
  await openQcow2(await openFileToRead(path), { location: path, ...options })

const openInChain = async (file: RandomFile, options: OpenQcow2Options, chain: Chain): Promise<Qcow2Disk> => {
  const opened: { [Symbol.asyncDispose]?(): PromiseLike<void> }[] = [file]
  const close = async (): Promise<void> => {
    if (chain.depth === 0) await chain.pool.close()
    for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]?.()
  }
  try {
    const isLenient = options.lenient ?? false
    const extended = extendChain(chain, file)
    const header = await readHeader(file, isLenient)
    refuseEncrypted(header)
    const dataFile = await openData(file, header, options)
    if (dataFile !== file) opened.push(dataFile)
    const backing = await openBacking(header, options, extended)
    if (backing !== undefined) opened.push(backing)
    const decompress = decompressorFor(header.compression, options.zstd)
    const image: Image = {
      header,
      file,
      dataFile,
      backing,
      decompress,
      isLenient,
      cacheBytes: cacheBytes(options, chain),
      pool: chain.pool,
    }
    return await imageDisk(image, options, close)
  } catch (error) {
    await close()
    throw error
  }
}

const cacheBytes = ({ cacheBytes: wanted = DEFAULT_CACHE_BYTES }: OpenQcow2Options, { depth }: Chain): number =>
  depth === 0 ? wanted : wanted / 4

export const refuseEncrypted = ({ encryption }: Qcow2Header): void => {
  if (encryption === 'none') return
  const name = encryption === 'luks' ? 'LUKS' : "qcow2's own AES"
  throw unsupported(
    `the image is encrypted (${name})`,
    { encryption },
    'its content cannot be told from noise: decrypt it with qemu-img convert first',
  )
}

const openData = async (file: RandomFile, header: Qcow2Header, options: OpenQcow2Options): Promise<RandomFile> => {
  if (!header.hasDataFile) return file
  return await openDataFile(options.resolve ?? refuseReferences, {
    kind: 'data',
    name: header.dataFileName ?? '',
    format: 'raw',
    from: options.location,
  })
}

export const openBacking = async (
  header: Qcow2Header,
  options: OpenQcow2Options,
  chain: Chain,
): Promise<DiskReader | undefined> => {
  if (options.backingDisk !== undefined) return options.backingDisk
  if (header.backingName === undefined) return undefined
  const resolved = await (options.resolve ?? refuseReferences)({
    kind: 'backing',
    name: header.backingName,
    format: header.backingFormat,
    from: options.location,
  })
  if ('disk' in resolved || resolved.format === 'raw') return resolvedDisk(resolved)
  const { location: _location, snapshot: _snapshot, bitmap: _bitmap, backingDisk: _backingDisk, ...inherited } = options
  const location = resolved.location === undefined ? {} : { location: resolved.location }
  return await openInChain(resolved.file, { ...inherited, ...location }, chain)
}

/** What the active disk and the snapshots of an image share. */
interface Image {
  readonly header: Qcow2Header
  readonly file: RandomFile
  readonly dataFile: RandomFile
  readonly backing: DiskReader | undefined
  readonly decompress: Decompressor
  readonly isLenient: boolean
  readonly cacheBytes: number
  readonly pool: CodecPool
}

const imageDisk = async (image: Image, options: OpenQcow2Options, close: () => Promise<void>): Promise<Qcow2Disk> => {
  const { header, file } = image
  const openSnapshot = async (wanted: string): Promise<Layer> => {
    const entry = findSnapshot(await readSnapshots(file, header), wanted)
    if (entry === undefined) throw notFound('snapshot', wanted)
    return await openLayer(image, entry.l1, entry.snapshot.sizeBytes)
  }
  const dirtyRanges: Qcow2Disk['dirtyRanges'] = async function* (name, range = {}) {
    const { offset = 0, length = header.sizeBytes - offset, signal } = range
    checkRange(offset, length, header.sizeBytes)
    const entry = (await readBitmaps(file, header)).find(({ bitmap }) => bitmap.name === name)
    if (entry === undefined) throw notFound('bitmap', name)
    yield* bitmapRanges(file, header, entry, offset, offset + length, signal)
  }
  const { snapshot, bitmap } = options
  if (snapshot !== undefined && bitmap !== undefined)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'a bitmap tells of the active disk, not of a snapshot')
  if (bitmap !== undefined) for await (const _ of dirtyRanges(bitmap, { length: 0 }));
  const layer =
    snapshot === undefined ? await openLayer(image, header.l1, header.sizeBytes) : await openSnapshot(snapshot)
  const disk = layerDisk(layer, close)
  return {
    ...disk,
    ...(bitmap === undefined
      ? {}
      : { extents: (range?: ExtentOptions) => withDirty(disk.extents(range), dirtyRanges(bitmap, range)) }),
    info: () => infoOf(header),
    snapshots: async () => (await readSnapshots(file, header)).map(entry => entry.snapshot),
    bitmaps: async () => (await readBitmaps(file, header)).map(entry => entry.bitmap),
    openSnapshot: async wanted => layerDisk(await openSnapshot(wanted), async () => {}),
    dirtyRanges,
  }
}

const notFound = (kind: 'snapshot' | 'bitmap', name: string): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', `qcow2: the image has no ${kind} ${JSON.stringify(name)}`, {
    detail: { [kind]: name },
  })

const openLayer = async (image: Image, l1: TablePlace, sizeBytes: number): Promise<Layer> => {
  const { header, file, dataFile, backing, decompress, isLenient, cacheBytes, pool } = image
  const entries = Math.min(l1.entries, l1EntriesFor(sizeBytes, header.clusterBits, header.hasExtendedL2))
  const format = entryFormat(header)
  const table = await readL1(file, { offset: l1.offset, entries }, isLenient)
  return {
    sizeBytes,
    clusterBytes: header.clusterBytes,
    imageFile: file,
    dataFile,
    backing,
    decompress,
    pooled: pooledReader(pool, file, header.compression, header.clusterBytes),
    isLenient,
    map: new ClusterMap(format, fileTables(file, format, table, { isLenient, cacheBytes })),
    clusters: new BoundedCache(cacheBytes, header.clusterBytes),
  }
}

const BLOCK_BYTES = 512

const layerDisk = (layer: Layer, close: () => Promise<void>): DiskReader => ({
  sizeBytes: layer.sizeBytes,
  blockBytes: BLOCK_BYTES,
  async read(offset, target, { signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, target.length, layer.sizeBytes)
    await readLayer(layer, offset, target, signal)
  },
  async *extents({ offset = 0, length = layer.sizeBytes - offset, signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, length, layer.sizeBytes)
    yield* layerExtents(layer, offset, length, signal)
  },
  [Symbol.asyncDispose]: close,
})
