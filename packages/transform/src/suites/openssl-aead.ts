/**
 * AEAD suites through node:crypto.
 *
 * @see NIST SP 800-38D (GCM), RFC 8439 (ChaCha20-Poly1305)
 * @module
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import type { CipherGCMTypes, KeyObject } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { authenticationError, createSpending, ordinalNonce } from './suite.ts'
import type { Sealer, SealingKeys, Suite } from './suite.ts'

/** A suite's row without its way to open. */
export type SuiteFacts = Omit<Suite, 'open'>

/**
 * Bytes given to OpenSSL at a time. Each piece comes back in a buffer of its own: small ones are served from memory that
 * is in the cache and mapped already, where one for a whole chunk costs a page fault for every 4 KiB.
 */
const PIECE_BYTES = 32 * 1024

/** What createCipheriv and createDecipheriv give that `transformInto` needs. */
interface Piecewise {
  update(bytes: Bytes): Bytes
}

/** The suite of an AEAD that OpenSSL has under the row's name. */
export const opensslAead = (facts: SuiteFacts): Suite => ({ ...facts, open: keys => openSuite(facts, keys) })

const openSuite = (facts: SuiteFacts, { encryption }: SealingKeys): Sealer => {
  const { name, keyBytes, nonceBytes, tagBytes } = facts
  checkLength('encryption key', encryption, keyBytes)
  const key = createSecretKey(encryption)
  const spend = createSpending(name, facts.keyLimitBytes)
  const sealInto = (ordinal: number, associated: Bytes, plain: Bytes, target: Bytes): number => {
    const length = plain.length + tagBytes
    if (target.length < length) throw tooSmall(target.length, length)
    spend(ordinal, plain.length)
    sealMessage(name, key, { nonce: ordinalNonce(ordinal, nonceBytes), associated, tagBytes }, plain, target)
    return length
  }
  return {
    seal: (ordinal, associated, plain) => {
      const sealed = allocate(plain.length + tagBytes)
      sealInto(ordinal, associated, plain, sealed)
      return sealed
    },
    sealInto,
    open: (ordinal, associated, sealed) => {
      const message = { nonce: ordinalNonce(ordinal, nonceBytes), associated, tagBytes }
      const plain = sealed.length < tagBytes ? undefined : openMessage(name, key, message, sealed)
      if (plain === undefined) throw authenticationError(name, ordinal, sealed.length)
      return plain
    },
  }
}

/** What a message is bound to. */
export interface MessageBinding {
  readonly nonce: Bytes
  readonly associated: Bytes
  readonly tagBytes: number
}

/** Writes `ciphertext || tag` to the start of `target`. */
export const sealMessage = (
  name: string,
  key: KeyObject,
  binding: MessageBinding,
  plain: Bytes,
  target: Bytes,
): void => {
  const { nonce, associated, tagBytes } = binding
  const cipher = createCipheriv(name as CipherGCMTypes, key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(associated)
  transformInto(cipher, plain, target)
  cipher.final()
  target.set(cipher.getAuthTag(), plain.length)
}

/** The plaintext of `ciphertext || tag`, or undefined when the tag is wrong. */
export const openMessage = (
  name: string,
  key: KeyObject,
  binding: MessageBinding,
  sealed: Bytes,
): Bytes | undefined => {
  const { nonce, associated, tagBytes } = binding
  const length = sealed.length - tagBytes
  const decipher = createDecipheriv(name as CipherGCMTypes, key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(associated)
  decipher.setAuthTag(sealed.subarray(length))
  const plain = allocate(length)
  transformInto(decipher, sealed.subarray(0, length), plain)
  try {
    decipher.final()
  } catch {
    plain.fill(0)
    return undefined
  }
  return plain
}

const transformInto = (cipher: Piecewise, source: Bytes, target: Bytes): void => {
  for (let at = 0; at < source.length; at += PIECE_BYTES) {
    target.set(cipher.update(source.subarray(at, at + PIECE_BYTES)), at)
  }
}

/** Memory that is not cleared first, as all of it is about to be written; never a slice of Node's shared pool. */
const allocate = (length: number): Bytes => new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)

const tooSmall = (got: number, expected: number): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `target: expected at least ${expected} bytes, got ${got}`, {
    detail: { argument: 'target', expected, got },
  })
