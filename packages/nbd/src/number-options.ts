/** Options that are whole numbers, from a table of defaults and ranges. @module */
import { GranaryError } from '@granary/core'

export interface NumberRange {
  readonly initial: number
  readonly min: number
  readonly max: number
}

/** Longest timer of Node, milliseconds. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * The values, with the defaults filled in.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when one is no whole number in its range
 */
export const settleNumbers = <Name extends string>(
  table: Readonly<Record<Name, NumberRange>>,
  values: Partial<Readonly<Record<Name, number | undefined>>>,
): Readonly<Record<Name, number>> => {
  const settled: Partial<Record<Name, number>> = {}
  for (const argument of Object.keys(table) as Name[]) {
    const { initial, min, max } = table[argument]
    const got = values[argument] ?? initial
    if (!Number.isSafeInteger(got) || got < min || got > max)
      throw new GranaryError(
        'GRANARY_INVALID_ARGUMENT',
        `${argument}: expected a whole number in ${min}..${max}, got ${got}`,
        { detail: { argument, min, max, got } },
      )
    settled[argument] = got
  }
  return settled as Readonly<Record<Name, number>>
}
