/** The secrets of a chunker: all derived from one, so that equal disks are cut differently in two repositories. @module */
import { hkdfSync } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

const SECRET_BYTES = 32

/**
 * `length` bytes for one use: HKDF-SHA-256 without salt.
 *
 * @see RFC 5869, and docs/formats/chunking.md, section "Secrets"
 */
export const deriveSecret = (secret: Bytes, use: string, length: number): Bytes =>
  new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), `granary chunker v1 ${use}`, length))

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is not 32 bytes */
export const checkSecret = (secret: Bytes): void => {
  if (secret.length === SECRET_BYTES) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `chunker secret: expected 32 bytes, got ${secret.length}`, {
    detail: { argument: 'secret', expected: SECRET_BYTES, got: secret.length },
  })
}
