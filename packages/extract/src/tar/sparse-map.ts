/**
 * Files with holes in an archive: GNU's sparse format 1.0, which GNU tar, libarchive, Python and Go read.
 *
 * @see GNU tar manual, "Storing Sparse Files", "PAX Format, Version 1.0"
 * @module
 */
import type { AbortOptions, Bytes, DiskReader, Range } from '@granary/core'
import { dataRangesOf } from '../content.ts'
import { BLOCK_BYTES } from './header.ts'

/** Holes in all from which on a file is stored sparse: for less, what every reader understands is worth more. */
const LEAST_HOLE_BYTES = 1024 * 1024

/** Ranges kept of one file: with more, the smallest holes would cost more than they save. */
const MAX_RANGES = 65_536

export interface SparseMap {
  /** Of data, ascending, beginning at whole blocks. */
  readonly ranges: readonly Range[]
  /** The map as it stands before the data. */
  readonly bytes: Bytes
  readonly dataBytes: number
}

/** The map of a file, or undefined when it is stored whole. */
export const sparseMapOf = async (file: DiskReader, options: AbortOptions): Promise<SparseMap | undefined> => {
  if (file.sizeBytes < LEAST_HOLE_BYTES) return undefined
  const ranges: { offset: number; length: number }[] = []
  for await (const { offset, length } of dataRangesOf(file, options)) {
    const from = offset - (offset % BLOCK_BYTES)
    const to = Math.min(Math.ceil((offset + length) / BLOCK_BYTES) * BLOCK_BYTES, file.sizeBytes)
    const last = ranges.at(-1)
    if (last !== undefined && last.offset + last.length >= from) last.length = to - last.offset
    else if (ranges.length === MAX_RANGES) return undefined
    else ranges.push({ offset: from, length: to - from })
  }
  const dataBytes = ranges.reduce((sum, { length }) => sum + length, 0)
  if (file.sizeBytes - dataBytes < LEAST_HOLE_BYTES) return undefined
  return { ranges, bytes: encodeMap(ranges, file.sizeBytes), dataBytes }
}

/** A hole at the end is told by an empty range there. */
const encodeMap = (ranges: readonly Range[], sizeBytes: number): Bytes => {
  const last = ranges.at(-1)
  const isOpen = last === undefined || last.offset + last.length < sizeBytes
  const rows = isOpen ? [...ranges, { offset: sizeBytes, length: 0 }] : ranges
  const text = `${rows.length}\n${rows.map(({ offset, length }) => `${offset}\n${length}\n`).join('')}`
  const bytes = new Uint8Array(Math.ceil(text.length / BLOCK_BYTES) * BLOCK_BYTES)
  bytes.set(Buffer.from(text))
  return bytes
}
