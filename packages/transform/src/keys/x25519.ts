/**
 * X25519 key pairs (RFC 7748) through node:crypto, as raw bytes and as PEM files that OpenSSL reads and makes.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, diffieHellman, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'

/** Bytes of a private key, a public key, and a shared secret. */
export const X25519_BYTES = 32

/** DER of everything before the 32 key bytes (RFC 8410, section 7 for PKCS #8, section 4 for SubjectPublicKeyInfo). */
const PRIVATE_KEY_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')
const PUBLIC_KEY_PREFIX = Buffer.from('302a300506032b656e032100', 'hex')

/** 32 bytes each. */
export interface KeyPair {
  readonly privateKey: Bytes
  readonly publicKey: Bytes
}

/** A new random pair. */
export const createKeyPair = (): KeyPair => {
  const privateKey = new Uint8Array(randomBytes(X25519_BYTES))
  return { privateKey, publicKey: publicKeyOf(privateKey) }
}

/** The public key of a private one. */
export const publicKeyOf = (privateKey: Bytes): Bytes => rawPublicKey(createPublicKey(privateKeyObject(privateKey)))

/**
 * The secret that both ends agree on.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the public key is one of the few whose secret anybody knows (RFC 7748, 6.1)
 */
export const agree = (privateKey: Bytes, publicKey: Bytes): Bytes => {
  try {
    return new Uint8Array(
      diffieHellman({ privateKey: privateKeyObject(privateKey), publicKey: publicKeyObject(publicKey) }),
    )
  } catch (cause) {
    if (cause instanceof GranaryError) throw cause
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'X25519: this public key gives a secret that anybody knows', {
      detail: { argument: 'public key' },
      cause,
    })
  }
}

/** PEM of PKCS #8, as `openssl genpkey -algorithm X25519` writes it. */
export const privateKeyToPem = (privateKey: Bytes): string =>
  privateKeyObject(privateKey).export({ format: 'pem', type: 'pkcs8' }) as string

/** PEM of SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it. */
export const publicKeyToPem = (publicKey: Bytes): string =>
  publicKeyObject(publicKey).export({ format: 'pem', type: 'spki' }) as string

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is no X25519 private key */
export const privateKeyFromPem = (pem: string): Bytes => {
  const key = parsePem('private', () => createPrivateKey(pem))
  const der = key.export({ format: 'der', type: 'pkcs8' })
  return new Uint8Array(der.subarray(PRIVATE_KEY_PREFIX.length))
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is no X25519 public key, also when it is a private one */
export const publicKeyFromPem = (pem: string): Bytes => {
  if (pem.includes('PRIVATE KEY')) throw notKey('public', 'a private key')
  return rawPublicKey(parsePem('public', () => createPublicKey(pem)))
}

const parsePem = (kind: 'private' | 'public', parse: () => KeyObject): KeyObject => {
  let key: KeyObject
  try {
    key = parse()
  } catch (cause) {
    throw notKey(kind, 'something else', cause)
  }
  if (key.asymmetricKeyType !== 'x25519') throw notKey(kind, `a key of type ${key.asymmetricKeyType ?? 'unknown'}`)
  return key
}

const rawPublicKey = (key: KeyObject): Bytes =>
  new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(PUBLIC_KEY_PREFIX.length))

const privateKeyObject = (privateKey: Bytes): KeyObject => {
  checkLength('private key', privateKey, X25519_BYTES)
  return createPrivateKey({ key: Buffer.concat([PRIVATE_KEY_PREFIX, privateKey]), format: 'der', type: 'pkcs8' })
}

const publicKeyObject = (publicKey: Bytes): KeyObject => {
  checkLength('public key', publicKey, X25519_BYTES)
  return createPublicKey({ key: Buffer.concat([PUBLIC_KEY_PREFIX, publicKey]), format: 'der', type: 'spki' })
}

const notKey = (kind: string, found: string, cause?: unknown): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `expected an X25519 ${kind} key as PEM, found ${found}`, {
    detail: { expected: `X25519 ${kind} key`, found },
    cause,
    hint: '`granary key create --escrow FILE` makes a pair: FILE is the private key, FILE.pub the public one',
  })
