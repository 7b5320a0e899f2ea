/**
 * Suites of any block cipher in counter mode with a keyed-BLAKE3 tag: encrypt, then authenticate.
 *
 * @see docs/formats/suites.md, "Counter mode with BLAKE3"
 * @module
 */
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { constantTimeEqual } from '../constant-time-equal.ts'
import { createKeyedHasher } from '../hash/blake3.ts'
import { createKeyStream } from './key-stream.ts'
import type { CipherVariant } from './key-stream.ts'
import { createSealer } from './sealer.ts'
import { ordinalNonce } from './suite.ts'
import type { Sealer, SealingKeys, Suite, SuiteFacts } from './suite.ts'

const TAG_BYTES = 32

/** Of what is hashed before associated data and ciphertext: two lengths (u64), suite id (u32), ordinal (u32). */
const PREFIX_BYTES = 24

/**
 * Most plaintext one key may seal, by block size: docs/security.md, "Cipher suites". Larger blocks do not limit a key: theirs
 * is what everything else was thought through for.
 */
const keyLimitBytes = (blockBits: number): number => (blockBits === 128 ? 2 ** 44 : 2 ** 50)

/** A row of the table of cipher suites. */
export interface CtrSuiteRow extends CipherVariant {
  readonly id: number
  readonly description: string
}

/** `<cipher>-<key bits>-ctr-blake3`; Kalyna, where key and block differ, `kalyna-<block bits>-<key bits>-ctr-blake3`. */
export const ctrSuiteName = ({ cipher, blockBits, keyBits }: CipherVariant): string =>
  `${cipher}-${cipher === 'kalyna' && blockBits !== keyBits ? `${blockBits}-` : ''}${keyBits}-ctr-blake3`

export const ctrBlake3 = (row: CtrSuiteRow): Suite => {
  const facts: SuiteFacts = {
    id: row.id,
    name: ctrSuiteName(row),
    keyBytes: row.keyBits / 8,
    nonceBytes: row.blockBits / 16,
    tagBytes: TAG_BYTES,
    keyLimitBytes: keyLimitBytes(row.blockBits),
    description: row.description,
  }
  return { ...facts, open: keys => openSuite(facts, row, keys) }
}

const openSuite = (facts: SuiteFacts, variant: CipherVariant, { encryption, mac }: SealingKeys): Sealer => {
  checkLength('encryption key', encryption, facts.keyBytes)
  const applyStream = createKeyStream(variant, encryption)
  const hasher = createKeyedHasher(mac)

  const tagOf = (ordinal: number, associated: Bytes, ciphertext: Bytes): Bytes => {
    const prefix = new Uint8Array(PREFIX_BYTES)
    const view = new DataView(prefix.buffer)
    view.setBigUint64(0, BigInt(associated.length))
    view.setBigUint64(8, BigInt(ciphertext.length))
    view.setUint32(16, facts.id)
    view.setUint32(20, ordinal)
    return hasher.digestParts([prefix, associated, ciphertext])
  }
  const counterOf = (ordinal: number): Bytes => {
    const counter = new Uint8Array(2 * facts.nonceBytes)
    counter.set(ordinalNonce(ordinal, facts.nonceBytes))
    return counter
  }
  return createSealer(facts, {
    seal: (ordinal, associated, plain, target) => {
      const ciphertext = target.subarray(0, plain.length)
      applyStream(counterOf(ordinal), plain, ciphertext)
      target.set(tagOf(ordinal, associated, ciphertext), plain.length)
    },
    open: (ordinal, associated, sealed, target) => {
      const ciphertext = sealed.subarray(0, target.length)
      if (!constantTimeEqual(tagOf(ordinal, associated, ciphertext), sealed.subarray(target.length))) return false
      applyStream(counterOf(ordinal), ciphertext, target)
      return true
    },
  })
}
