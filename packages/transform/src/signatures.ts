/**
 * Ed25519 signatures through node:crypto.
 *
 * @see RFC 8032
 * @module
 */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Bytes } from '@granary/core'
import { checkLength } from './check-length.ts'

const SEED_BYTES = 32
const PUBLIC_KEY_BYTES = 32
const SIGNATURE_BYTES = 64

/** DER of everything before the 32 key bytes (RFC 8410, section 7 for PKCS #8, section 4 for SubjectPublicKeyInfo). */
const PRIVATE_KEY_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC_KEY_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** Whoever signs: from a seed here; a hardware key elsewhere may implement the same. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Bytes
  /** 64 bytes. */
  sign(bytes: Bytes): Bytes | Promise<Bytes>
}

/** A signer that answers at once. */
export interface SeedSigner extends Signer {
  sign(bytes: Bytes): Bytes
}

/**
 * The signer of a 32-byte seed (RFC 8032's private key). The same seed gives the same signer.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the seed is not 32 bytes
 */
export const createSigner = (seed: Bytes): SeedSigner => {
  checkLength('seed', seed, SEED_BYTES)
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE_KEY_PREFIX, seed]), format: 'der', type: 'pkcs8' })
  const exported = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const publicKey = new Uint8Array(exported.subarray(PUBLIC_KEY_PREFIX.length))
  return { publicKey, sign: bytes => new Uint8Array(sign(null, bytes, key)) }
}

/** True when `signature` is the signature of `bytes` under `publicKey`. Wrong lengths are merely false. */
export const verifySignature = (publicKey: Bytes, bytes: Bytes, signature: Bytes): boolean => {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
  return verify(null, bytes, keyObjectOf(publicKey), signature)
}

/** The key used last: a repository has few signers, and taking a key in costs more than verifying with it. */
let last: { readonly bytes: Bytes; readonly key: KeyObject } | undefined

const keyObjectOf = (publicKey: Bytes): KeyObject => {
  if (last === undefined || Buffer.compare(last.bytes, publicKey) !== 0) {
    const der = Buffer.concat([PUBLIC_KEY_PREFIX, publicKey])
    last = { bytes: publicKey.slice(), key: createPublicKey({ key: der, format: 'der', type: 'spki' }) }
  }
  return last.key
}
