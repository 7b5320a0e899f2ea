/** Opens an image, with the files it names where the caller allows them, as a disk. @module */
import { checkRange } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { BoundedCache } from './bounded-cache.ts'
import { ClusterMap, readL1 } from './cluster-map.ts'
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
import type { ZstdCodec } from './zstd-codec.ts'

export interface OpenQcow2Options {
  /** Read as QEMU does: what lies past the end of the file is zeros, not damage. @default false */
  readonly lenient?: boolean
  /** Asked for every file the image names. @default refuses */
  readonly resolve?: ResolveReference
  /** Where the image is, for `resolve` to find what it names. */
  readonly location?: string
  /** Most bytes of L2 tables kept, and of decompressed clusters, for the image itself; a quarter for each one below. @default 8 MiB */
  readonly cacheBytes?: number
  /** @default the best on this machine */
  readonly zstd?: ZstdCodec
}

/** A qcow2 image as a disk. */
export interface Qcow2Disk extends DiskReader {
  info(): Qcow2Info
}

const DEFAULT_CACHE_BYTES = 8 * 1024 * 1024

/**
 * Opens an image. The disk owns `file` from here on: it is closed with the disk, and when opening fails.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when the image is damaged; `GRANARY_UNSUPPORTED` when it is encrypted, uses
 *   features that are not known, or names files that may not be opened; `GRANARY_LIMIT` when it is too large
 */
export const openQcow2 = async (file: RandomFile, options: OpenQcow2Options = {}): Promise<Qcow2Disk> =>
  await openInChain(file, options, { depth: 0, identities: [] })

/** Opens an image in a file of the file system. @throws GranaryError as `openQcow2`, and `GRANARY_NOT_FOUND`, `GRANARY_PERMISSION`, `GRANARY_IO` */
export const openQcow2File = async (path: string, options: OpenQcow2Options = {}): Promise<Qcow2Disk> =>
  await openQcow2(await openFileToRead(path), { location: path, ...options })

const openInChain = async (file: RandomFile, options: OpenQcow2Options, chain: Chain): Promise<Qcow2Disk> => {
  const opened: { [Symbol.asyncDispose]?(): PromiseLike<void> }[] = [file]
  const close = async (): Promise<void> => {
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
    const decompress = await decompressorFor(header.compression, options.zstd)
    const image: Image = {
      header,
      file,
      dataFile,
      backing,
      decompress,
      isLenient,
      cacheBytes: cacheBytes(options, chain),
    }
    const layer = await openLayer(image, header.l1, header.sizeBytes)
    return { ...layerDisk(layer, close), info: () => infoOf(header) }
  } catch (error) {
    await close()
    throw error
  }
}

const cacheBytes = ({ cacheBytes: wanted = DEFAULT_CACHE_BYTES }: OpenQcow2Options, { depth }: Chain): number =>
  depth === 0 ? wanted : wanted / 4

const refuseEncrypted = ({ encryption }: Qcow2Header): void => {
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

const openBacking = async (
  header: Qcow2Header,
  options: OpenQcow2Options,
  chain: Chain,
): Promise<DiskReader | undefined> => {
  if (header.backingName === undefined) return undefined
  const resolved = await (options.resolve ?? refuseReferences)({
    kind: 'backing',
    name: header.backingName,
    format: header.backingFormat,
    from: options.location,
  })
  if ('disk' in resolved || resolved.format === 'raw') return resolvedDisk(resolved)
  const { location: _ofOverlay, ...inherited } = options
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
}

const openLayer = async (image: Image, l1: TablePlace, sizeBytes: number): Promise<Layer> => {
  const { header, file, dataFile, backing, decompress, isLenient, cacheBytes } = image
  const entries = Math.min(l1.entries, l1EntriesFor(sizeBytes, header.clusterBits, header.hasExtendedL2))
  const table = await readL1(file, { offset: l1.offset, entries }, isLenient)
  return {
    sizeBytes,
    clusterBytes: header.clusterBytes,
    imageFile: file,
    dataFile,
    backing,
    decompress,
    isLenient,
    map: new ClusterMap(file, entryFormat(header), table, { isLenient, cacheBytes }),
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
