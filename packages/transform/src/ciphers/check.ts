/** The argument checks every cipher call makes at its public edge. @module */
import { GranaryError } from '@granary/core'
import type { Bytes, ErrorDetail } from '@granary/core'

export const invalid = (message: string, detail: ErrorDetail): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', message, { detail })

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when `bytes` is not `expected` bytes long */
export const expectLength = (argument: string, bytes: Bytes, expected: number): void => {
  if (bytes.length === expected) return
  throw invalid(`${argument}: expected ${expected} bytes, got ${bytes.length}`, {
    argument,
    expected,
    got: bytes.length,
  })
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when `value` is not an integer from 0 to 2^53 - 1 */
export const expectOffset = (argument: string, value: number): void => {
  if (Number.isSafeInteger(value) && value >= 0) return
  throw invalid(`${argument}: expected an integer from 0 to 2^53 - 1, got ${value}`, { argument, got: value })
}
