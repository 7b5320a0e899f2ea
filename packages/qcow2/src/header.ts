/**
 * Reads the header of an image and refuses what the format forbids.
 *
 * @see docs/formats/qcow2.md, and QEMU docs/interop/qcow2.txt, section "Header"
 * @module
 */
import type { Bytes } from '@granary/core'
import {
  EXTENSION,
  INCOMPATIBLE,
  MAGIC,
  MAX_BITMAPS,
  MAX_BITMAP_DIRECTORY_BYTES,
  MAX_CLUSTER_BITS,
  MAX_L1_BYTES,
  MAX_NAME_BYTES,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
  MIN_CLUSTER_BITS,
  MIN_EXTENDED_L2_CLUSTER_BITS,
  AUTOCLEAR,
  COMPATIBLE,
  corrupt,
  overLimit,
  readU64,
  unsupported,
  viewOf,
} from './format.ts'
import { readExtensions, readFeatureNames } from './header-extensions.ts'
import type { HeaderExtension } from './header-extensions.ts'
import type { RandomFile } from './random-file.ts'

/** Field offsets, bytes from the start of the file. All integers are big-endian. */
export const AT = {
  magic: 0, //                  u32  "QFI\xfb"
  version: 4, //                u32  2 or 3
  backingOffset: 8, //          u64  0: no backing file
  backingLength: 16, //         u32  at most 1023
  clusterBits: 20, //           u32  9..21
  size: 24, //                  u64  virtual size, bytes
  crypt: 32, //                 u32  0 none, 1 AES, 2 LUKS
  l1Entries: 36, //             u32
  l1Offset: 40, //              u64  cluster aligned
  refcountOffset: 48, //        u64  cluster aligned
  refcountClusters: 56, //      u32
  snapshotCount: 60, //         u32
  snapshotOffset: 64, //        u64  cluster aligned
  endVersion2: 72,
  incompatible: 72, //          u64  feature bits
  compatible: 80, //            u64
  autoclear: 88, //             u64
  refcountOrder: 96, //         u32  0..6: width of a refcount is 2^order bits
  headerLength: 100, //         u32  at least 104
  endVersion3: 104,
  compressionType: 104, //      u8   0 deflate, 1 zstd; only when headerLength is over 104
  endCompressionType: 105,
} as const

export type Compression = 'zlib' | 'zstd'
export type Encryption = 'none' | 'aes' | 'luks'

/** Where a table stands: `offset` in bytes from the start of the file. */
export interface TablePlace {
  readonly offset: number
  readonly entries: number
}

export interface BitmapDirectoryPlace {
  readonly offset: number
  readonly lengthBytes: number
  readonly count: number
}

export interface Qcow2Header {
  readonly version: 2 | 3
  readonly clusterBits: number
  readonly clusterBytes: number
  /** Virtual size, bytes, a multiple of 512 (QEMU rounds down). */
  readonly sizeBytes: number
  readonly encryption: Encryption
  readonly compression: Compression
  readonly l1: TablePlace
  readonly refcounts: { readonly offset: number; readonly clusters: number; readonly order: number }
  readonly snapshots: TablePlace
  /** Undefined when there are none, or when the feature bit says they are not to be trusted. */
  readonly bitmaps: BitmapDirectoryPlace | undefined
  readonly isDirty: boolean
  readonly isCorrupt: boolean
  readonly hasExtendedL2: boolean
  readonly hasLazyRefcounts: boolean
  readonly hasDataFile: boolean
  readonly isDataFileRaw: boolean
  readonly dataFileName: string | undefined
  readonly backingName: string | undefined
  readonly backingFormat: string | undefined
  readonly headerLength: number
  readonly extensions: readonly HeaderExtension[]
  /** What we do not know and a writer must keep: bits of the compatible features, and fields behind the compression type. */
  readonly unknown: { readonly compatible: bigint; readonly fields: Bytes }
}

/**
 * Reads and checks the header. Reads at most the first cluster.
 *
 * @param isLenient take a header whose end is missing, as QEMU does
 *
 * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_LIMIT` or `GRANARY_UNSUPPORTED`; `detail.field` names the culprit
 */
export const readHeader = async (file: RandomFile, isLenient = false): Promise<Qcow2Header> => {
  const start = new Uint8Array(Math.min(file.sizeBytes, 112))
  await file.read(0, start)
  if (start.length < 4 || viewOf(start).getUint32(AT.magic) !== MAGIC)
    throw corrupt('the file does not start with the qcow2 magic', { field: 'magic' })
  if (start.length < AT.endVersion2) throw corrupt(`the header is cut at ${start.length} bytes`, { field: 'length' })
  const version = readVersion(viewOf(start), start.length)
  const clusterBits = readClusterBits(viewOf(start))
  const stored = Math.min(file.sizeBytes, 2 ** clusterBits)
  const area = new Uint8Array(Math.max(stored, 2 ** MIN_CLUSTER_BITS)) // Zeros where the file is shorter, as QEMU sees it.
  await file.read(0, area.subarray(0, stored))
  const header = parseHeader(area, version, clusterBits)
  if (header.headerLength > stored && !isLenient)
    throw corrupt(`the header is cut at ${stored} bytes`, { field: 'length' })
  return header
}

const readVersion = (view: DataView, length: number): 2 | 3 => {
  const version = view.getUint32(AT.version)
  if (version === 1) throw unsupported('this is an image of version 1 (the old qcow format)', { field: 'version' })
  if (version !== 2 && version !== 3) throw unsupported(`unknown version ${version}`, { field: 'version' })
  if (version === 3 && length < AT.endVersion3)
    throw corrupt(`the header is cut at ${length} bytes`, { field: 'length' })
  return version
}

const readClusterBits = (view: DataView): number => {
  const bits = view.getUint32(AT.clusterBits)
  if (bits < MIN_CLUSTER_BITS || bits > MAX_CLUSTER_BITS)
    throw corrupt(`cluster size 2^${bits} is not between 2^9 and 2^21`, { field: 'clusterBits', value: bits })
  return bits
}

const parseHeader = (area: Bytes, version: 2 | 3, clusterBits: number): Qcow2Header => {
  const view = viewOf(area)
  const clusterBytes = 2 ** clusterBits
  const headerLength = version === 2 ? AT.endVersion2 : view.getUint32(AT.headerLength)
  if (headerLength < (version === 2 ? AT.endVersion2 : AT.endVersion3) || headerLength > clusterBytes)
    throw corrupt(`header length ${headerLength} is not between 104 and the cluster size`, { field: 'headerLength' })

  const backingOffset = readU64(view, AT.backingOffset)
  if (backingOffset > clusterBytes)
    throw corrupt('the backing file name is outside the first cluster', { field: 'backingOffset' })
  const extensions = readExtensions(area, headerLength, backingOffset === 0 ? clusterBytes : backingOffset)
  const features = readFeatures(view, version, extensions)
  if (features.hasExtendedL2 && clusterBits < MIN_EXTENDED_L2_CLUSTER_BITS)
    throw corrupt('extended L2 entries need clusters of 16 KiB or more', { field: 'clusterBits' })

  const sizeBytes = readSize(view)
  const header: Qcow2Header = {
    version,
    clusterBits,
    clusterBytes,
    sizeBytes,
    headerLength,
    extensions,
    ...features,
    encryption: readEncryption(view, extensions),
    compression: readCompression(view, version, headerLength),
    l1: readTable(view, AT.l1Entries, AT.l1Offset, clusterBytes, { field: 'l1', maxEntries: MAX_L1_BYTES / 8 }),
    refcounts: readRefcounts(view, version, clusterBytes),
    snapshots: readTable(view, AT.snapshotCount, AT.snapshotOffset, clusterBytes, {
      field: 'snapshots',
      maxEntries: MAX_SNAPSHOTS,
    }),
    bitmaps: readBitmapsExtension(
      extensions,
      version === 3 && (view.getUint32(AT.autoclear + 4) & 1) === 1,
      clusterBytes,
    ),
    ...readNames(area, backingOffset, clusterBytes, extensions),
    unknown: {
      compatible: version === 2 ? 0n : view.getBigUint64(AT.compatible) & ~BigInt(COMPATIBLE.lazyRefcounts),
      fields: area.slice(Math.min(AT.endCompressionType, headerLength), headerLength),
    },
  }
  if (header.l1.entries < l1EntriesFor(sizeBytes, clusterBits, header.hasExtendedL2))
    throw corrupt(`the L1 table of ${header.l1.entries} entries is too small for the disk`, { field: 'l1' })
  return header
}

/** Entries an L1 table needs for a disk of `sizeBytes`. */
export const l1EntriesFor = (sizeBytes: number, clusterBits: number, hasExtendedL2: boolean): number =>
  Math.ceil(sizeBytes / 2 ** (2 * clusterBits - (hasExtendedL2 ? 4 : 3)))

const readSize = (view: DataView): number => {
  const size = view.getBigUint64(AT.size)
  if (size > BigInt(Number.MAX_SAFE_INTEGER))
    throw overLimit('the disk is larger than 2^53 - 1 bytes', { field: 'size' })
  return Number(size) - (Number(size) % 512)
}

const readFeatures = (
  view: DataView,
  version: 2 | 3,
  extensions: readonly HeaderExtension[],
): Pick<
  Qcow2Header,
  'isDirty' | 'isCorrupt' | 'hasExtendedL2' | 'hasLazyRefcounts' | 'hasDataFile' | 'isDataFileRaw'
> => {
  const incompatible = version === 2 ? 0n : view.getBigUint64(AT.incompatible)
  const unknown = incompatible & ~31n
  if (unknown !== 0n) {
    const names = readFeatureNames(extensions)
    const bits = Array.from({ length: 64 }, (_, bit) => bit).filter(bit => ((unknown >> BigInt(bit)) & 1n) === 1n)
    const named = bits.map(bit => names.get(`0:${bit}`) ?? `bit ${bit}`).join(', ')
    throw unsupported(`the image uses unknown incompatible features: ${named}`, { field: 'incompatible' })
  }
  const has = (bits: number, flag: number): boolean => (bits & flag) !== 0
  const low = (at: number): number => (version === 2 ? 0 : view.getUint32(at + 4))
  return {
    isDirty: has(low(AT.incompatible), INCOMPATIBLE.dirty),
    isCorrupt: has(low(AT.incompatible), INCOMPATIBLE.corrupt),
    hasDataFile: has(low(AT.incompatible), INCOMPATIBLE.dataFile),
    hasExtendedL2: has(low(AT.incompatible), INCOMPATIBLE.extendedL2),
    hasLazyRefcounts: has(low(AT.compatible), COMPATIBLE.lazyRefcounts),
    isDataFileRaw: has(low(AT.autoclear), AUTOCLEAR.dataFileRaw),
  }
}

const readCompression = (view: DataView, version: 2 | 3, headerLength: number): Compression => {
  const hasBit = version === 3 && (view.getUint32(AT.incompatible + 4) & INCOMPATIBLE.compressionType) !== 0
  const type = version === 3 && headerLength > AT.compressionType ? view.getUint8(AT.compressionType) : 0
  if (type > 1) throw unsupported(`unknown compression type ${type}`, { field: 'compressionType', value: type })
  if (hasBit !== (type !== 0))
    throw corrupt(`compression type ${type} contradicts its feature bit`, { field: 'compressionType', value: type })
  return type === 1 ? 'zstd' : 'zlib'
}

const readEncryption = (view: DataView, extensions: readonly HeaderExtension[]): Encryption => {
  const method = view.getUint32(AT.crypt)
  if (method > 2) throw unsupported(`unknown encryption method ${method}`, { field: 'crypt', value: method })
  if (method === 2 && !extensions.some(({ type, data }) => type === EXTENSION.luks && data.length === 16))
    throw corrupt('LUKS encryption without its header extension', { field: 'crypt' })
  return (['none', 'aes', 'luks'] as const)[method as 0 | 1 | 2]
}

const readTable = (
  view: DataView,
  countAt: number,
  offsetAt: number,
  clusterBytes: number,
  { field, maxEntries }: { field: string; maxEntries: number },
): TablePlace => {
  const entries = view.getUint32(countAt)
  if (entries > maxEntries) throw corrupt(`the ${field} table of ${entries} entries is too large`, { field })
  return { entries, offset: readTableOffset(view, offsetAt, clusterBytes, field) }
}

const readTableOffset = (view: DataView, at: number, clusterBytes: number, field: string): number => {
  const offset = readU64(view, at)
  if (!Number.isSafeInteger(offset) || offset % clusterBytes !== 0)
    throw corrupt(`the ${field} table stands at the invalid offset ${offset}`, { field })
  return offset
}

const readRefcounts = (view: DataView, version: 2 | 3, clusterBytes: number): Qcow2Header['refcounts'] => {
  const order = version === 2 ? 4 : view.getUint32(AT.refcountOrder)
  if (order > 6) throw corrupt(`refcounts of 2^${order} bits: at most 64 bits are allowed`, { field: 'refcountOrder' })
  const clusters = view.getUint32(AT.refcountClusters)
  if (clusters > MAX_REFCOUNT_TABLE_BYTES / clusterBytes)
    throw corrupt(`the refcount table of ${clusters} clusters is too large`, { field: 'refcounts' })
  if (clusters === 0) throw corrupt('the image has no refcount table', { field: 'refcounts' })
  return { order, clusters, offset: readTableOffset(view, AT.refcountOffset, clusterBytes, 'refcounts') }
}

const readBitmapsExtension = (
  extensions: readonly HeaderExtension[],
  areTrusted: boolean,
  clusterBytes: number,
): BitmapDirectoryPlace | undefined => {
  const data = extensions.find(({ type }) => type === EXTENSION.bitmaps)?.data
  if (data === undefined || !areTrusted) return undefined
  if (data.length !== 24) throw corrupt(`the bitmaps extension has ${data.length} bytes, not 24`, { field: 'bitmaps' })
  const view = viewOf(data)
  const count = view.getUint32(0)
  const lengthBytes = readU64(view, 8)
  const offset = readU64(view, 16)
  if (count === 0 || count > MAX_BITMAPS) throw corrupt(`${count} bitmaps: expected 1 to 65535`, { field: 'bitmaps' })
  if (lengthBytes > MAX_BITMAP_DIRECTORY_BYTES || lengthBytes < count * 24)
    throw corrupt(`the bitmap directory has ${lengthBytes} bytes`, { field: 'bitmaps' })
  if (!Number.isSafeInteger(offset) || offset % clusterBytes !== 0)
    throw corrupt(`the bitmap directory stands at the invalid offset ${offset}`, { field: 'bitmaps' })
  return { offset, lengthBytes, count }
}

const readNames = (
  area: Bytes,
  backingOffset: number,
  clusterBytes: number,
  extensions: readonly HeaderExtension[],
): Pick<Qcow2Header, 'backingName' | 'backingFormat' | 'dataFileName'> => {
  const text = (bytes: Bytes | undefined): string | undefined =>
    bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
  const find = (wanted: number): Bytes | undefined => extensions.find(({ type }) => type === wanted)?.data
  const length = viewOf(area).getUint32(AT.backingLength)
  if (backingOffset !== 0 && length > Math.min(MAX_NAME_BYTES, clusterBytes - backingOffset))
    throw corrupt(`the backing file name of ${length} bytes does not fit`, { field: 'backingLength' })
  if (backingOffset !== 0 && backingOffset + length > area.length)
    throw corrupt('the backing file name is beyond the end of the file', { field: 'backingOffset' })
  const hasBacking = backingOffset !== 0 && length > 0
  return {
    backingName: hasBacking ? text(area.slice(backingOffset, backingOffset + length)) : undefined,
    backingFormat: hasBacking ? text(find(EXTENSION.backingFormat)) : undefined,
    dataFileName: text(find(EXTENSION.dataFileName)),
  }
}
