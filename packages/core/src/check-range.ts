/** The range check that every disk makes at its public edge. @module */
import { GranaryError } from './errors.ts'

/**
 * Refuses a range that is not wholly inside a disk of `sizeBytes`.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is not
 */
export const checkRange = (offset: number, length: number, sizeBytes: number): void => {
  const isInside =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= sizeBytes
  if (isInside) return
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `range ${offset}+${length} is not inside the disk of ${sizeBytes} bytes`,
    { detail: { offset, length, sizeBytes } },
  )
}
