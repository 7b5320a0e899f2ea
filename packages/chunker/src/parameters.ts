/** The parameters of a chunker: what a disk map records, and what the command line says in short. @module */
import { GranaryError } from '@granary/core'
import { isStrategyName, strategies } from './strategies/index.ts'
import type { StrategyName } from './strategies/index.ts'

/** JSON-safe. Two disks are cut alike only when these and the secret are equal. */
export interface ChunkerParameters {
  readonly strategy: StrategyName
  /** No chunk is cut shorter by its content, bytes. The end of a window or a zero run may end one earlier. */
  readonly minBytes: number
  /** The size aimed at, bytes: a power of two. */
  readonly averageBytes: number
  /** No chunk is longer, bytes. */
  readonly maxBytes: number
}

const UNITS = { k: 1024, m: 1024 * 1024 } as const

/**
 * Reads `grid:128k`, `fixed:1m`, `fastcdc:64k`, or a name alone for its default size.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the name or the size is not one of the table
 */
export const parseChunker = (text: string): ChunkerParameters => {
  const match = /^([a-z0-9]+)(?::([1-9][0-9]{0,3})([km]))?$/.exec(text)
  const [, name = '', count, unit] = match ?? []
  if (!isStrategyName(name))
    throw invalid(text, `expected ${Object.keys(strategies).join(', ')} with a size, such as grid:128k`)
  const row = strategies[name]
  const { sizes } = row
  const size = count === undefined ? sizes.normal : Number(count) * UNITS[unit as keyof typeof UNITS]
  if (!isPowerOfTwo(size) || size < sizes.least || size > sizes.most) {
    throw invalid(text, `expected a power of two from ${short(sizes.least)} to ${short(sizes.most)}`)
  }
  return { strategy: name, ...row.parametersOf(size) }
}

/** The short form, such as `grid:128k`; `parseChunker` reads it. */
export const formatChunker = ({ strategy, averageBytes }: ChunkerParameters): string =>
  `${strategy}:${short(averageBytes)}`

/**
 * Takes parameters from outside (a recorded disk map), and refuses what this version does not cut alike.
 *
 * @throws GranaryError `GRANARY_UNSUPPORTED` when they are not what `parseChunker` could have given
 */
export const readChunkerParameters = (value: unknown): ChunkerParameters => {
  const { strategy, averageBytes } = (value ?? {}) as Partial<Record<keyof ChunkerParameters, unknown>>
  if (typeof strategy === 'string' && isStrategyName(strategy) && typeof averageBytes === 'number') {
    const row = strategies[strategy]
    const { sizes } = row
    const isListed = isPowerOfTwo(averageBytes) && averageBytes >= sizes.least && averageBytes <= sizes.most
    const expected: ChunkerParameters = { strategy, ...row.parametersOf(averageBytes) }
    if (isListed && isSameChunker(expected, value as ChunkerParameters)) return expected
  }
  throw new GranaryError('GRANARY_UNSUPPORTED', `chunker parameters unknown to this version: ${brief(value)}`, {
    detail: { parameters: brief(value) },
    hint: 'read the disk in full with a chunker of this version',
  })
}

/** True when both cut the same content alike, given the same secret. */
export const isSameChunker = (a: ChunkerParameters, b: ChunkerParameters): boolean =>
  a.strategy === b.strategy &&
  a.minBytes === b.minBytes &&
  a.averageBytes === b.averageBytes &&
  a.maxBytes === b.maxBytes

const isPowerOfTwo = (value: number): boolean =>
  value > 0 && value < 2 ** 31 && (value & (value - 1)) === 0 && Number.isInteger(value)

const short = (bytes: number): string => (bytes % UNITS.m === 0 ? `${bytes / UNITS.m}m` : `${bytes / UNITS.k}k`)

const brief = (value: unknown): string => String(JSON.stringify(value)).slice(0, 200)

const invalid = (text: string, expected: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `chunker '${text.slice(0, 40)}': ${expected}`, {
    detail: { argument: 'chunker', expected },
  })
