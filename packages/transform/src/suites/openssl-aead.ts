/**
 * AEAD suites through node:crypto.
 *
 * @see NIST SP 800-38D (GCM), RFC 8439 (ChaCha20-Poly1305)
 * @module
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import type { CipherGCMTypes, KeyObject } from 'node:crypto'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { createSealer, transformInto } from './sealer.ts'
import { ordinalNonce } from './suite.ts'
import type { Sealer, SealingKeys, Suite, SuiteFacts } from './suite.ts'

/** The suite of an AEAD that OpenSSL has under the row's name. */
export const opensslAead = (facts: SuiteFacts): Suite => ({ ...facts, open: keys => openSuite(facts, keys) })

const openSuite = (facts: SuiteFacts, { encryption }: SealingKeys): Sealer => {
  const { name, keyBytes, nonceBytes, tagBytes } = facts
  checkLength('encryption key', encryption, keyBytes)
  const key = createSecretKey(encryption)
  const bind = (ordinal: number, associated: Bytes): MessageBinding => ({
    nonce: ordinalNonce(ordinal, nonceBytes),
    associated,
    tagBytes,
  })
  return createSealer(facts, {
    seal: (ordinal, associated, plain, target) => sealMessage(name, key, bind(ordinal, associated), plain, target),
    open: (ordinal, associated, sealed, target) => openMessage(name, key, bind(ordinal, associated), sealed, target),
  })
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

/** Writes the plaintext of `ciphertext || tag` to `target`; zeros and false when the tag is wrong. */
export const openMessage = (
  name: string,
  key: KeyObject,
  binding: MessageBinding,
  sealed: Bytes,
  target: Bytes,
): boolean => {
  const { nonce, associated, tagBytes } = binding
  const decipher = createDecipheriv(name as CipherGCMTypes, key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(associated)
  decipher.setAuthTag(sealed.subarray(target.length))
  transformInto(decipher, sealed.subarray(0, target.length), target)
  try {
    decipher.final()
    return true
  } catch {
    target.fill(0)
    return false
  }
}
