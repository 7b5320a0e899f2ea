/**
 * The keys of one object: derived from the key of its domain and the random salt in its header.
 *
 * @see docs/formats/keys.md, "Objects"
 * @module
 */
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { deriveKey } from '../hash/blake3.ts'

/** Bytes in an object's salt. */
export const SALT_BYTES = 32

/** Bytes in an object's key commitment. */
export const COMMITMENT_BYTES = 32

const CONTEXTS = {
  encryption: 'granary 2026 v1 object encryption',
  mac: 'granary 2026 v1 object mac',
  commitment: 'granary 2026 v1 object commitment',
} as const

/** What a salt makes of a domain key. */
export interface ObjectKeys {
  readonly encryption: Bytes
  /** 32 bytes. */
  readonly mac: Bytes
  /**
   * 32 bytes, stored in the clear in the object's header. Whoever opens compares it, in constant time and before decrypting:
   * a wrong key is told from damage, and one object can't be made to open under two keys.
   */
  readonly commitment: Bytes
}

/**
 * The keys of one object. Each salt must be fresh and random for each object that is sealed: the same salt under the same
 * domain key is the same key, and would meet the same nonces.
 *
 * @param domainKey 32 bytes: a data key, or one of the repository's domain keys
 * @param salt 32 bytes
 * @param encryptionBytes the suite's `keyBytes`. @default 32
 */
export const deriveObjectKeys = (domainKey: Bytes, salt: Bytes, encryptionBytes = 32): ObjectKeys => {
  checkLength('domain key', domainKey, 32)
  checkLength('salt', salt, SALT_BYTES)
  const material = new Uint8Array(64)
  material.set(domainKey)
  material.set(salt, 32)
  return {
    encryption: deriveKey(CONTEXTS.encryption, material, encryptionBytes),
    mac: deriveKey(CONTEXTS.mac, material),
    commitment: deriveKey(CONTEXTS.commitment, material),
  }
}
