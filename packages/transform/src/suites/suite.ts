/**
 * What a suite is: authenticated encryption under a key that serves one object, with ordinals as nonces.
 *
 * @see docs/formats/suites.md, and docs/security.md, "Suites" and "Cipher suites"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

/** The keys of one object, as `deriveObjectKeys` makes them. AEAD suites use `encryption` only, CTR suites both. */
export interface SealingKeys {
  /** `suite.keyBytes` long. */
  readonly encryption: Bytes
  /** 32 bytes. */
  readonly mac: Bytes
}

/**
 * Seals and opens the messages of one object. The shape of a sealed message is `ciphertext || tag`.
 *
 * An ordinal is spent before it is used and can't be used again, whether or not sealing succeeded: ordinals given to
 * `seal` and `sealInto` must ascend strictly. Two sealers must never be made for sealing with the same keys.
 */
export interface Sealer {
  /**
   * Seals one message.
   *
   * @param ordinal 0 to 2^32 - 1, higher than every one before
   * @param associated bytes that are authenticated but not part of the result
   * @returns `ciphertext || tag`, owned by the receiver
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the ordinal is out of range or was spent
   * @throws GranaryError `GRANARY_LIMIT` when the key would seal more than the suite's `keyLimitBytes`
   */
  seal(ordinal: number, associated: Bytes, plain: Bytes): Bytes
  /** As `seal`, into the first `plain.length + tagBytes` bytes of `target`, which may not overlap `plain`. Returns that length. */
  sealInto(ordinal: number, associated: Bytes, plain: Bytes, target: Bytes): number
  /**
   * Opens one message. Any order, any number of times.
   *
   * @returns the plaintext, owned by the receiver; never a byte of it before its tag was found right
   * @throws GranaryError `GRANARY_AUTHENTICATION` when it was not sealed so, with these keys, this ordinal and this associated
   */
  open(ordinal: number, associated: Bytes, sealed: Bytes): Bytes
  /**
   * As `open`, to the start of `target`, which may not overlap `sealed`; where the tag is wrong, nothing of the plaintext is
   * left there. Returns the length of the plaintext.
   */
  openInto(ordinal: number, associated: Bytes, sealed: Bytes, target: Bytes): number
}

/** A row of the table of suites. */
export interface Suite {
  /** Number stored in object headers, 1 to 255. Never reused. */
  readonly id: number
  readonly name: string
  /** Length of the encryption key. */
  readonly keyBytes: number
  /** Of the nonce that an ordinal becomes; in CTR suites the high half of the counter block. */
  readonly nonceBytes: number
  readonly tagBytes: number
  /** Most plaintext one key may seal, bytes. docs/security.md gives the reasons. */
  readonly keyLimitBytes: number
  /** One plain sentence on what it is for. */
  readonly description: string
  /** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when a key has another length */
  open(keys: SealingKeys): Sealer
}

/** A suite's row without its way to open. */
export type SuiteFacts = Omit<Suite, 'open'>

/** Ordinals are 32 bits, so that a counter of blocks fits beside them in every suite. */
export const MAX_ORDINAL = 2 ** 32 - 1

/** The nonce of an ordinal: the ordinal as a big-endian integer of `nonceBytes` bytes. */
export const ordinalNonce = (ordinal: number, nonceBytes: number): Bytes => {
  checkOrdinal(ordinal)
  const nonce = new Uint8Array(nonceBytes)
  new DataView(nonce.buffer).setUint32(nonceBytes - 4, ordinal)
  return nonce
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is no integer from 0 to `MAX_ORDINAL` */
export const checkOrdinal = (ordinal: number): void => {
  if (Number.isInteger(ordinal) && ordinal >= 0 && ordinal <= MAX_ORDINAL) return
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `ordinal ${ordinal}: expected an integer from 0 to ${MAX_ORDINAL}`,
    {
      detail: { ordinal, max: MAX_ORDINAL },
    },
  )
}

/** Keeps the account of what a sealing key has done. Every suite spends through one of these before it touches its key. */
export const createSpending = (
  suite: string,
  keyLimitBytes: number,
): ((ordinal: number, lengthBytes: number) => void) => {
  let last = -1
  let spentBytes = 0
  return (ordinal, lengthBytes) => {
    checkOrdinal(ordinal)
    if (ordinal <= last) {
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `ordinal ${ordinal} is spent: the last one was ${last}`, {
        detail: { ordinal, last },
      })
    }
    last = ordinal
    if (spentBytes + lengthBytes > keyLimitBytes) {
      throw new GranaryError('GRANARY_LIMIT', `${suite}: one key may seal at most ${keyLimitBytes} bytes`, {
        detail: { suite, keyLimitBytes },
      })
    }
    spentBytes += lengthBytes
  }
}

/** The error of a message that does not open. */
export const authenticationError = (suite: string, ordinal: number, lengthBytes: number): GranaryError =>
  new GranaryError(
    'GRANARY_AUTHENTICATION',
    `${suite}: message ${ordinal} of ${lengthBytes} bytes is not what was sealed, or was sealed with another key`,
    { detail: { suite, ordinal, lengthBytes } },
  )
