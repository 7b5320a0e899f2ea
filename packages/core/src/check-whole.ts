/** The check of counts and sizes that public functions make. @module */
import { GranaryError } from './errors.ts'

/**
 * Refuses what is no whole number of at least `min`: a 0 or NaN here would end a loop early, and bytes would be missing.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT`
 */
export const checkWhole = (argument: string, value: number, { min = 1 }: { min?: number } = {}): void => {
  if (Number.isSafeInteger(value) && value >= min) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${argument} ${value}: expected a whole number, ${min} or more`, {
    detail: { argument, got: String(value), min },
  })
}
