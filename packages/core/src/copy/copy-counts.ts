/** What a copy did. @module */
import type { ExtentKind } from '../disk.ts'

/** Bytes. The first three add up to the size of the source, and so do the last three. */
export interface CopyCounts {
  /** Content that is not zero. */
  readonly dataBytes: number
  /** Zeros that the source told of, or that were found in what it called data. */
  readonly zeroBytes: number
  /** Never allocated in the source. */
  readonly holeBytes: number
  /** Written as content. */
  readonly writtenBytes: number
  /** Made zero. */
  readonly zeroedBytes: number
  /** Left alone, because the target shows it already: compared, or zeros where it is known to read as zeros. */
  readonly unchangedBytes: number
}

export type MutableCounts = { -readonly [Name in keyof CopyCounts]: CopyCounts[Name] }

export const noCounts = (): MutableCounts => ({
  dataBytes: 0,
  zeroBytes: 0,
  holeBytes: 0,
  writtenBytes: 0,
  zeroedBytes: 0,
  unchangedBytes: 0,
})

/** Where a range of the source counts, by what the source says of it. */
export const COUNT_BY_KIND = { data: 'dataBytes', zero: 'zeroBytes', hole: 'holeBytes' } as const satisfies Record<
  ExtentKind,
  keyof CopyCounts
>

/** Adds to `total` in place. */
export const addCounts = (total: MutableCounts, counts: CopyCounts): void => {
  for (const name of Object.keys(total) as (keyof CopyCounts)[]) total[name] += counts[name]
}
