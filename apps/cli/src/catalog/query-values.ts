/** Sizes and times of a search, as they are written on the command line. @module */
import { GranaryError, parseBytes } from '@granary/core'

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const parseSize = (text: string | undefined, option: string): number | undefined => {
  if (text === undefined) return undefined
  try {
    return parseBytes(text)
  } catch (cause) {
    throw invalid(option, 'a size, as in 10M', text, cause)
  }
}

/** Nanoseconds since 1970; a time without a zone is UTC. @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const parseTime = (text: string | undefined, option: string): bigint | undefined => {
  if (text === undefined) return undefined
  const isTime = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?$/.test(text)
  const hasZone = /(Z|[+-]\d\d:\d\d)$/.test(text.slice(10))
  const ms = isTime
    ? Date.parse(hasZone || text.length === 10 ? text.replace(' ', 'T') : `${text.replace(' ', 'T')}Z`)
    : NaN
  if (Number.isNaN(ms)) throw invalid(option, 'a time, as in 2026-11-01 or 2026-11-01T14:00', text)
  return BigInt(ms) * 1_000_000n
}

const invalid = (option: string, expected: string, found: string, cause?: unknown): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `${option}: expected ${expected}, found "${found}"`, {
    detail: { option, found },
    ...(cause === undefined ? {} : { cause }),
  })
