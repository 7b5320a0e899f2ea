/** The length check of keys, nonces and salts at the public edge. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` unless `bytes` is `expected` bytes long */
export const checkLength = (argument: string, bytes: Bytes, expected: number): void => {
  if (bytes.length === expected) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${argument}: expected ${expected} bytes, got ${bytes.length}`, {
    detail: { argument, expected, got: bytes.length },
  })
}
