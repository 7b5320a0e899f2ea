/** Ranges of bytes as streams: ascending, never overlapping unless said. @module */
import { checkWhole } from '../check-whole.ts'

/** A range of bytes. */
export interface Range {
  readonly offset: number
  readonly length: number
}

/** A stream of ranges. Arrays do as well. */
export type Ranges<Item extends Range = Range> = AsyncIterable<Item> | Iterable<Item>

export interface AlignOptions {
  /** Where the disk ends, so that the last range does not stick out. @default not cut */
  readonly sizeBytes?: number
}

/**
 * Widens ascending ranges to multiples of `unit` and joins those that then touch or overlap.
 *
 * @param unit bytes, a whole number above 0
 */
export async function* alignRanges(
  ranges: Ranges,
  unit: number,
  { sizeBytes = Infinity }: AlignOptions = {},
): AsyncGenerator<Range, void, undefined> {
  checkWhole('unit', unit)
  let start = 0
  let end = 0
  for await (const { offset, length } of ranges) {
    if (length === 0) continue
    const alignedStart = Math.floor(offset / unit) * unit
    const alignedEnd = Math.min(Math.ceil((offset + length) / unit) * unit, sizeBytes)
    if (alignedStart > end) {
      if (end > start) yield { offset: start, length: end - start }
      start = alignedStart
    } else if (end === start) start = alignedStart
    end = Math.max(end, alignedEnd)
  }
  if (end > start) yield { offset: start, length: end - start }
}
