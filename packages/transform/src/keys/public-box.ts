/**
 * A small secret sealed to an X25519 public key: `ephemeral public key (32) || sealed box`. Whoever sealed it can't open it
 * again: the ephemeral private key is gone when the box is made.
 *
 * @see docs/formats/keys.md, "Box for a public key"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { deriveKey } from '../hash/blake3.ts'
import { openBox, sealBox } from './sealed-box.ts'
import { X25519_BYTES, agree, createKeyPair, publicKeyOf } from './x25519.ts'

const CONTEXT = 'granary 2026 v1 public key box'

/** The box of `plain` for the holder of the private key to `publicKey`, bound to `associated`. */
export const sealToPublicKey = (publicKey: Bytes, associated: Bytes, plain: Bytes): Bytes => {
  const ephemeral = createKeyPair()
  const shared = agree(ephemeral.privateKey, publicKey)
  const box = sealBox(boxKey(shared, ephemeral.publicKey, publicKey), associated, plain)
  return new Uint8Array(Buffer.concat([ephemeral.publicKey, box]))
}

/**
 * What is in the box.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` when it was sealed to another key
 * @throws GranaryError `GRANARY_AUTHENTICATION` when it, or `associated`, was changed
 * @throws GranaryError `GRANARY_CORRUPT` or `GRANARY_UNSUPPORTED` when it is no such box
 */
export const openWithPrivateKey = (privateKey: Bytes, associated: Bytes, sealed: Bytes): Bytes => {
  const ephemeral = sealed.subarray(0, X25519_BYTES)
  if (ephemeral.length < X25519_BYTES) throw corrupt(`${sealed.length} bytes`)
  return openBox(openingKey(privateKey, ephemeral), associated, sealed.subarray(X25519_BYTES))
}

const openingKey = (privateKey: Bytes, ephemeral: Bytes): Bytes => {
  try {
    return boxKey(agree(privateKey, ephemeral), ephemeral, publicKeyOf(privateKey))
  } catch (cause) {
    throw corrupt('an ephemeral key that is none', cause)
  }
}

/** Both public keys go in: one shared secret belongs to several encodings of a key (RFC 7748, section 7). */
const boxKey = (shared: Bytes, ephemeral: Bytes, publicKey: Bytes): Bytes =>
  deriveKey(CONTEXT, Buffer.concat([shared, ephemeral, publicKey]))

const corrupt = (found: string, cause?: unknown): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `box for a public key: found ${found}`, { detail: { found }, cause })
