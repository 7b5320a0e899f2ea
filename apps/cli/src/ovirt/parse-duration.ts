/** Spans of time, as they are written on the command line. @module */
import { GranaryError } from '@granary/core'

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A year: longer is a mistake. */
const MAX_MS = 366 * 86_400_000

/** Milliseconds. @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const parseDuration = (text: string | undefined, option: string): number | undefined => {
  if (text === undefined) return undefined
  const [, number, unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? []
  const ms = Number(number) * (UNITS_MS[unit] ?? NaN)
  if (ms > 0 && ms <= MAX_MS) return ms
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${option} ${text}: expected a time, as in 30m, 2h or 1d`, {
    detail: { option, found: text },
  })
}
