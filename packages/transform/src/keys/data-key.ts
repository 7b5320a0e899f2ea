/**
 * Data keys: random, one for each session, kept in an envelope: wrapped under the repository's wrap key, or sealed to its
 * public key by somebody who can write only.
 *
 * @see docs/formats/keys.md, "Data keys"
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { openWithPrivateKey, sealToPublicKey } from './public-box.ts'
import { openBox, sealBox } from './sealed-box.ts'

const DATA_KEY_BYTES = 32
const ASSOCIATED_PREFIX = new TextEncoder().encode('granary data key v1\0')

/** A new data key. */
export const createDataKey = (): Bytes => new Uint8Array(randomBytes(DATA_KEY_BYTES))

/**
 * A data key as it is stored: 113 bytes with the default suite.
 *
 * @param wrapKey `RepositoryKeys.wrap`
 * @param domain id of the key domain this key belongs to; the same must be given to unwrap it
 */
export const wrapDataKey = (wrapKey: Bytes, dataKey: Bytes, domain: Bytes): Bytes => {
  checkLength('wrap key', wrapKey, 32)
  checkLength('data key', dataKey, DATA_KEY_BYTES)
  return sealBox(wrapKey, bind(domain), dataKey)
}

/**
 * The data key in `wrapped`.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` when another wrap key wrapped it
 * @throws GranaryError `GRANARY_AUTHENTICATION` when it was changed, or belongs to another domain
 * @throws GranaryError `GRANARY_CORRUPT` when it is no wrapped data key
 */
export const unwrapDataKey = (wrapKey: Bytes, wrapped: Bytes, domain: Bytes): Bytes => {
  checkLength('wrap key', wrapKey, 32)
  return openBox(wrapKey, bind(domain), wrapped)
}

/**
 * A data key sealed to the repository's public key: 145 bytes with the default suite. Who seals it can't open it again.
 *
 * @param publicKey `publicKeyOf(RepositoryKeys.opening)`
 * @param domain as for `wrapDataKey`
 */
export const sealDataKey = (publicKey: Bytes, dataKey: Bytes, domain: Bytes): Bytes => {
  checkLength('data key', dataKey, DATA_KEY_BYTES)
  return sealToPublicKey(publicKey, bind(domain), dataKey)
}

/**
 * The data key that `sealDataKey` sealed.
 *
 * @param openingKey `RepositoryKeys.opening`
 * @throws as `unwrapDataKey`
 */
export const openDataKey = (openingKey: Bytes, sealed: Bytes, domain: Bytes): Bytes =>
  openWithPrivateKey(openingKey, bind(domain), sealed)

const bind = (domain: Bytes): Bytes => Buffer.concat([ASSOCIATED_PREFIX, domain])
