/** The way from guest offsets to host offsets. @module */
import type { Bytes } from '@granary/core'
import { BoundedCache } from './bounded-cache.ts'
import { RunList, decodeEntries } from './cluster-runs.ts'
import type { ClusterRun, EntryFormat } from './cluster-runs.ts'
import { OFFSET_HIGH_MASK, OFFSET_LOW_MASK, WORD, corrupt, viewOf } from './format.ts'
import type { TablePlace } from './header.ts'
import type { RandomFile } from './random-file.ts'

/** L2 tables are read in parts of at most this, so that one random read in an image of 2 MiB clusters costs 64 KiB. */
const SLICE_BYTES = 65_536

/**
 * Reads a table that may be cut short by the end of the file.
 *
 * @returns the table; only when `isLenient` with zeros where the file ends
 * @throws GranaryError `GRANARY_CORRUPT` when it reaches past the end of the file
 */
export const readTableBytes = async (
  file: RandomFile,
  offset: number,
  length: number,
  what: string,
  isLenient: boolean,
): Promise<Bytes> => {
  const stored = Math.max(0, Math.min(length, file.sizeBytes - offset))
  if (stored < length && !isLenient)
    throw corrupt(`${what} at ${offset} reaches past the end of the file of ${file.sizeBytes} bytes`, {
      offset,
      length,
      sizeBytes: file.sizeBytes,
    })
  const bytes = new Uint8Array(length)
  if (stored > 0) await file.read(offset, bytes.subarray(0, stored))
  return bytes
}

/** Where the tables of an image come from: its file, or the memory of its writer. */
export interface TableSource {
  /** First L1 index from `from` on that has an L2 table; Infinity when none has. */
  nextAllocated(from: number): number
  /** `length` bytes of the L2 table of an L1 index, from `at` bytes on. */
  slice(index: number, at: number, length: number): DataView | Promise<DataView>
}

export class ClusterMap {
  readonly #format: EntryFormat
  readonly #tables: TableSource
  readonly #sliceBytes: number
  /** Guest bytes that one slice stands for, and that one L2 table stands for. */
  readonly #sliceSpan: number
  readonly #tableSpan: number

  constructor(format: EntryFormat, tables: TableSource) {
    this.#format = format
    this.#tables = tables
    this.#sliceBytes = sliceBytesOf(format)
    this.#sliceSpan = (this.#sliceBytes / format.entryBytes) * format.clusterBytes
    this.#tableSpan = (format.clusterBytes / format.entryBytes) * format.clusterBytes
  }

  /** Lists the runs of a range, in order and without gaps, some at a time. What no L2 table covers costs nothing. */
  async *runs(offset: number, end: number, signal?: AbortSignal): AsyncGenerator<ClusterRun[], void, undefined> {
    for (let at = offset; at < end;) {
      signal?.throwIfAborted()
      const list = new RunList()
      const index = Math.floor(at / this.#tableSpan)
      const allocated = this.#tables.nextAllocated(index)
      if (allocated > index) {
        const next = Math.min(end, allocated * this.#tableSpan)
        list.add(at, next - at, 'unallocated', undefined)
        at = next
      } else {
        const sliceStart = at - (at % this.#sliceSpan)
        const inTable = ((sliceStart - index * this.#tableSpan) / this.#sliceSpan) * this.#sliceBytes
        const slice = this.#tables.slice(index, inTable, this.#sliceBytes)
        const next = Math.min(end, sliceStart + this.#sliceSpan)
        decodeEntries(this.#format, slice instanceof DataView ? slice : await slice, sliceStart, at, next, list)
        at = next
      }
      yield list.runs
    }
  }
}

const sliceBytesOf = ({ clusterBytes }: EntryFormat): number => Math.min(SLICE_BYTES, clusterBytes)

export interface FileTablesOptions {
  readonly isLenient: boolean
  /** Most bytes of L2 tables kept. */
  readonly cacheBytes: number
}

/** The tables of an image that only we look at: an L1 table in memory, parts of L2 tables in a bounded cache. */
export const fileTables = (
  file: RandomFile,
  format: EntryFormat,
  l1: Bytes,
  { isLenient, cacheBytes }: FileTablesOptions,
): TableSource => {
  const entries = viewOf(l1)
  const slices = new BoundedCache<DataView>(cacheBytes, sliceBytesOf(format))
  const load = async (offset: number, length: number): Promise<DataView> =>
    viewOf(await readTableBytes(file, offset, length, 'an L2 table', isLenient))
  return {
    nextAllocated: from => nextAllocated(l1, from),
    slice(index, at, length) {
      const offset = l2Offset(format, entries, index) + at
      return slices.get(offset, () => load(offset, length))
    },
  }
}

/** First entry of an L1 table from `from` on that has an L2 table; Infinity when none has. */
export const nextAllocated = (l1: Bytes, from: number): number => {
  const words = new Uint32Array(l1.buffer, l1.byteOffset, l1.length / 4)
  const view = viewOf(l1)
  for (let index = from; index * 2 < words.length; index++) {
    if (words[index * 2] === 0 && words[index * 2 + 1] === 0) continue
    const high = view.getUint32(index * 8) & OFFSET_HIGH_MASK
    if (high !== 0 || (view.getUint32(index * 8 + 4) & OFFSET_LOW_MASK) !== 0) return index
  }
  return Infinity
}

/** Where the L2 table of an L1 index stands. @throws GranaryError `GRANARY_CORRUPT` when that is no cluster */
export const l2Offset = (format: EntryFormat, entries: DataView, index: number): number => {
  const high = entries.getUint32(index * 8)
  const offset = (high & OFFSET_HIGH_MASK) * WORD + ((entries.getUint32(index * 8 + 4) & OFFSET_LOW_MASK) >>> 0)
  if (offset % format.clusterBytes !== 0)
    throw corrupt(`L1 entry ${index} points to the unaligned offset ${offset}`, { index, offset })
  return offset
}

/** Reads an L1 table. @throws GranaryError `GRANARY_CORRUPT` when it reaches past the end of the file */
export const readL1 = async (file: RandomFile, { offset, entries }: TablePlace, isLenient: boolean): Promise<Bytes> =>
  await readTableBytes(file, offset, entries * 8, 'the L1 table', isLenient)
