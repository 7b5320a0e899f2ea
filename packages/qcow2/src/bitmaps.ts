/** Persistent dirty bitmaps. @see QEMU docs/interop/qcow2.txt, section "Bitmaps" @module */
import type { Bytes } from '@granary/core'
import { readTableBytes } from './cluster-map.ts'
import {
  MAX_BITMAP_TABLE_ENTRIES,
  MAX_NAME_BYTES,
  OFFSET_HIGH_MASK,
  OFFSET_LOW_MASK,
  WORD,
  corrupt,
  readU64,
  unsupported,
  viewOf,
} from './format.ts'
import type { Qcow2Header, TablePlace } from './header.ts'
import type { RandomFile } from './random-file.ts'

export interface Qcow2Bitmap {
  readonly name: string
  /** Bytes of the disk that one bit stands for. */
  readonly granularityBytes: number
  /** Set: whoever wrote the image did not close it, and the bitmap is not to be trusted. */
  readonly isInUse: boolean
  /** Set: every writer must keep the bitmap up to date. */
  readonly isAuto: boolean
}

/** A bitmap and where it stands. */
export interface BitmapEntry {
  readonly bitmap: Qcow2Bitmap
  readonly table: TablePlace
  /** Why the bitmap cannot be used by us, if so. */
  readonly obstacle: string | undefined
  /** The entry as it stands in the directory, bytes, without padding. */
  readonly raw: Bytes
  /** Where it stands, bytes from the start of the directory. */
  readonly at: number
}

/** Field offsets of a directory entry, bytes. */
export const DIRECTORY_AT = {
  tableOffset: 0, //   u64
  tableEntries: 8, //  u32
  flags: 12, //        u32
  type: 16, //         u8
  granularity: 17, //  u8  bits
  nameLength: 18, //   u16
  extraLength: 20, //  u32
  end: 24, //          then: extra data, name, padding to 8
} as const

export const BITMAP_FLAG = { inUse: 1, auto: 2, extraDataCompatible: 4 } as const
/** Type "dirty tracking bitmap". */
export const DIRTY_TRACKING = 1

/** @throws GranaryError `GRANARY_CORRUPT` when the directory is damaged */
export const readBitmaps = async (file: RandomFile, header: Qcow2Header): Promise<BitmapEntry[]> => {
  if (header.bitmaps === undefined) return []
  const { offset, lengthBytes, count } = header.bitmaps
  const directory = await readTableBytes(file, offset, lengthBytes, 'the bitmap directory', false)
  const entries: BitmapEntry[] = []
  for (let at = 0; entries.length < count;) {
    const { entry, end } = readDirectoryEntry(directory.subarray(at), header.clusterBytes)
    entries.push({ ...entry, raw: directory.slice(at, at + end), at })
    at += Math.ceil(end / 8) * 8
  }
  return entries
}

const readDirectoryEntry = (
  bytes: Bytes,
  clusterBytes: number,
): { entry: Omit<BitmapEntry, 'raw' | 'at'>; end: number } => {
  if (bytes.length < DIRECTORY_AT.end) throw corrupt('the bitmap directory is cut')
  const view = viewOf(bytes)
  const nameAt = DIRECTORY_AT.end + view.getUint32(DIRECTORY_AT.extraLength)
  const nameLength = view.getUint16(DIRECTORY_AT.nameLength)
  const end = nameAt + nameLength
  if (end > bytes.length || nameLength > MAX_NAME_BYTES) throw corrupt('the bitmap directory is cut')
  const name = Buffer.from(bytes.subarray(nameAt, end)).toString('utf8')
  const granularityBits = view.getUint8(DIRECTORY_AT.granularity)
  const table = { offset: readU64(view, DIRECTORY_AT.tableOffset), entries: view.getUint32(DIRECTORY_AT.tableEntries) }
  const isPlaced = Number.isSafeInteger(table.offset) && table.offset % clusterBytes === 0
  if (!isPlaced || table.entries > MAX_BITMAP_TABLE_ENTRIES || granularityBits < 9 || granularityBits > 31)
    throw corrupt(`the directory entry of bitmap ${JSON.stringify(name)} is invalid`, { granularityBits, ...table })
  const flags = view.getUint32(DIRECTORY_AT.flags)
  const bitmap = {
    name,
    granularityBytes: 2 ** granularityBits,
    isInUse: (flags & BITMAP_FLAG.inUse) !== 0,
    isAuto: (flags & BITMAP_FLAG.auto) !== 0,
  }
  return { entry: { bitmap, table, obstacle: obstacleOf(view, flags) }, end }
}

const obstacleOf = (view: DataView, flags: number): string | undefined => {
  if (view.getUint8(DIRECTORY_AT.type) !== DIRTY_TRACKING) return 'is of an unknown type'
  if ((flags & ~7) !== 0) return 'has unknown flags'
  const hasUnknownExtra =
    view.getUint32(DIRECTORY_AT.extraLength) > 0 && (flags & BITMAP_FLAG.extraDataCompatible) === 0
  return hasUnknownExtra ? 'has extra data that must be understood' : undefined
}

/** Entries of a bitmap table that are read at once. */
const SLICE_ENTRIES = 8192

/** A range that a bitmap calls changed or not. Ranges ascend and touch. */
export interface DirtyRange {
  readonly offset: number
  readonly length: number
  readonly dirty: boolean
}

/**
 * Lists the ranges of `[offset, end)`. What the bitmap table leaves out costs nothing to list.
 *
 * @param sizeBytes virtual size of the disk the bitmap was made for
 * @throws GranaryError `GRANARY_CORRUPT` for a bitmap in use or damaged, `GRANARY_UNSUPPORTED` for one of another kind
 */
export async function* bitmapRanges(
  file: RandomFile,
  { clusterBytes, sizeBytes }: Pick<Qcow2Header, 'clusterBytes' | 'sizeBytes'>,
  { bitmap, table, obstacle }: BitmapEntry,
  offset: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<DirtyRange, void, undefined> {
  const { name, granularityBytes, isInUse } = bitmap
  if (isInUse)
    throw corrupt(`bitmap ${JSON.stringify(name)} is in use: whoever wrote the image did not close it`, { name })
  if (obstacle !== undefined) throw unsupported(`bitmap ${JSON.stringify(name)} ${obstacle}`, { name })
  const spanBytes = clusterBytes * 8 * granularityBytes
  if (table.entries !== Math.ceil(sizeBytes / spanBytes))
    throw corrupt(`bitmap ${JSON.stringify(name)} has ${table.entries} clusters, which is not what the disk needs`, {
      name,
    })
  const ranges = new RangeJoiner()
  let slice = viewOf(new Uint8Array())
  let sliceFirst = 0
  for (let at = offset; at < end;) {
    signal?.throwIfAborted()
    const index = Math.floor(at / spanBytes)
    const next = Math.min((index + 1) * spanBytes, end)
    if ((index - sliceFirst) * 8 >= slice.byteLength) {
      const entries = Math.min(SLICE_ENTRIES, table.entries - index)
      slice = viewOf(await readTableBytes(file, table.offset + index * 8, entries * 8, 'a bitmap table', false))
      sliceFirst = index
    }
    const entryAt = (index - sliceFirst) * 8
    const low = slice.getUint32(entryAt + 4)
    const host = (slice.getUint32(entryAt) & OFFSET_HIGH_MASK) * WORD + ((low & OFFSET_LOW_MASK) >>> 0)
    if (host === 0) yield* ranges.add(at, next, (low & 1) !== 0)
    else {
      if (host % clusterBytes !== 0)
        throw corrupt(`bitmap ${JSON.stringify(name)} stands at an unaligned offset`, { host })
      const bits = await readTableBytes(file, host, clusterBytes, 'a bitmap', false)
      yield* clusterRanges(bits, index * spanBytes, granularityBytes, at, next, ranges)
    }
    at = next
  }
  yield* ranges.finish()
}

/** Bits stand lowest first; whole bytes of equal bits are taken at once. */
function* clusterRanges(
  bits: Bytes,
  start: number,
  granularityBytes: number,
  from: number,
  to: number,
  ranges: RangeJoiner,
): Generator<DirtyRange, void, undefined> {
  for (let at = from; at < to;) {
    const bit = Math.floor((at - start) / granularityBytes)
    const byte = bits[bit >> 3] as number
    const isWhole = (bit & 7) === 0 && (byte === 0 || byte === 0xff)
    const next = Math.min(start + (bit + (isWhole ? 8 : 1)) * granularityBytes, to)
    yield* ranges.add(at, next, ((byte >> (bit & 7)) & 1) === 1)
    at = next
  }
}

class RangeJoiner {
  #last: DirtyRange | undefined;

  *add(offset: number, end: number, dirty: boolean): Generator<DirtyRange, void, undefined> {
    const last = this.#last
    if (last?.dirty === dirty) this.#last = { ...last, length: end - last.offset }
    else {
      if (last !== undefined) yield last
      this.#last = { offset, length: end - offset, dirty }
    }
  }

  *finish(): Generator<DirtyRange, void, undefined> {
    if (this.#last !== undefined) yield this.#last
  }
}
