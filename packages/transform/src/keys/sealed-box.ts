/**
 * A small secret sealed under a 32-byte key: `suite id (u8) || salt (32) || commitment (32) || ciphertext || tag`.
 * Every box has a fresh salt, so its key seals one message, with ordinal 0.
 *
 * @see docs/formats/keys.md, "Sealed box"
 * @module
 */
import { randomBytes } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { constantTimeEqual } from '../constant-time-equal.ts'
import { DEFAULT_SUITE, suiteById, suiteByName } from '../suites/table.ts'
import { COMMITMENT_BYTES, SALT_BYTES, deriveObjectKeys } from './object-keys.ts'

/** Field offsets, bytes. */
const AT = { suite: 0, salt: 1, commitment: 1 + SALT_BYTES, sealed: 1 + SALT_BYTES + COMMITMENT_BYTES } as const

/** The box of `plain` under `key`, bound to `associated`. */
export const sealBox = (key: Bytes, associated: Bytes, plain: Bytes, suiteName: string = DEFAULT_SUITE): Bytes => {
  const suite = suiteByName(suiteName)
  const salt = randomBytes(SALT_BYTES)
  const keys = deriveObjectKeys(key, salt, suite.keyBytes)
  const box = new Uint8Array(AT.sealed + plain.length + suite.tagBytes)
  box[AT.suite] = suite.id
  box.set(salt, AT.salt)
  box.set(keys.commitment, AT.commitment)
  suite.open(keys).sealInto(0, associated, plain, box.subarray(AT.sealed))
  return box
}

/**
 * What is in a box.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when it is too short to be one
 * @throws GranaryError `GRANARY_UNSUPPORTED` when its suite is unknown
 * @throws GranaryError `GRANARY_WRONG_KEY` when it was sealed under another key
 * @throws GranaryError `GRANARY_AUTHENTICATION` when it, or `associated`, was changed
 */
export const openBox = (key: Bytes, associated: Bytes, box: Bytes): Bytes => {
  if (box.length < AT.sealed) {
    throw new GranaryError('GRANARY_CORRUPT', `sealed box: expected at least ${AT.sealed} bytes, got ${box.length}`, {
      detail: { expected: AT.sealed, got: box.length },
    })
  }
  const suite = suiteById(box[AT.suite] as number)
  const keys = deriveObjectKeys(key, box.subarray(AT.salt, AT.commitment), suite.keyBytes)
  if (!constantTimeEqual(keys.commitment, box.subarray(AT.commitment, AT.sealed))) {
    throw new GranaryError('GRANARY_WRONG_KEY', 'the key given is not the one this was sealed with')
  }
  return suite.open(keys).open(0, associated, box.subarray(AT.sealed))
}
