/**
 * The layout of an index segment: a header, sealed pages of one size, and a trailer that says which size.
 * Pages hold, in this order: for each block of entries its entries, then its filter; the pack table; the directory.
 *
 * @see docs/formats/repository.md, "Index segments"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { PREFIX_BYTES } from '../format/ids.ts'

/** Page sizes, sealed, bytes: small segments take small pages, so that a little backup stays little. */
export const PAGE_BYTES = { small: 1024, large: 16_384 } as const

/** A segment of at most this many entries takes small pages. */
export const SMALL_SEGMENT_ENTRIES = 600

/** id prefix 16, pack number u32 (a row of the pack table), ordinal u32. */
export const SEGMENT_ENTRY_BYTES = PREFIX_BYTES + 8

/** sid 16, pack number u32, uid 16. */
export const PACK_ROW_BYTES = 36

/** Entries over which one filter is built. */
export const BLOCK_ENTRIES = 262_144

/** Page size (u32), pages (u32), "GRNYINDX". */
export const SEGMENT_TRAILER_BYTES = 16
const TRAILER_MAGIC = Buffer.from('GRNYINDX')

/** One block of entries, as the directory lists it. */
export interface SegmentBlock {
  /** First id prefix of the block, hexadecimal. */
  readonly first: string
  readonly entries: number
  /** Distinct prefixes among them: the filter's keys. */
  readonly keys: number
  /** First page of the entries. */
  readonly page: number
  /** First page of the filter. */
  readonly filterPage: number
  readonly seed: number
}

export interface SegmentDirectory {
  readonly pages: number
  readonly entries: number
  readonly blocks: readonly SegmentBlock[]
  readonly packs: number
  readonly packPage: number
  /** Segments this one stands for: it counts only once its session has committed. */
  readonly replaces: readonly string[]
}

export const encodeSegmentTrailer = (pageBytes: number, pages: number): Bytes => {
  const bytes = new Uint8Array(SEGMENT_TRAILER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, pageBytes, true)
  view.setUint32(4, pages, true)
  bytes.set(TRAILER_MAGIC, 8)
  return bytes
}

/** @throws GranaryError `GRANARY_CORRUPT` when the trailer doesn't fit the segment */
export const decodeSegmentTrailer = (bytes: Bytes, key: string): { pageBytes: number; pages: number } => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_TRAILER_BYTES)
  const pageBytes = view.getUint32(0, true)
  const pages = view.getUint32(4, true)
  const isKnown = pageBytes === PAGE_BYTES.small || pageBytes === PAGE_BYTES.large
  if (isKnown && pages > 0 && TRAILER_MAGIC.equals(bytes.subarray(8))) return { pageBytes, pages }
  throw new GranaryError('GRANARY_CORRUPT', `${key}: the index segment has no valid end; it is truncated or damaged`, {
    detail: { object: key },
  })
}
