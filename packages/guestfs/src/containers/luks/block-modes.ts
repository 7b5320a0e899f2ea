/**
 * XTS and CBC over a block cipher that an application hands in, for ciphers that OpenSSL has not: whole sectors, decrypted.
 *
 * @see IEEE Std 1619-2018, section 5.4 (XTS); NIST SP 800-38A, section 6.2 (CBC)
 * @module
 */
import type { Bytes } from '@granary/core'
import type { KeyedBlockCipher } from '../../unlock.ts'

const BLOCK_BYTES = 16

/** x^128 + x^7 + x^2 + x + 1, without its highest power. */
const POLYNOMIAL = 0x87

/** Decrypts a sector into `target`; they may be the same. */
export type DecryptSector = (iv: Bytes, source: Bytes, target: Bytes) => void

export const xtsDecryptor =
  (data: KeyedBlockCipher, tweaks: KeyedBlockCipher): DecryptSector =>
  (iv, source, target) => {
    const masks = xtsMasks(tweaks.encrypt(iv), source.length)
    target.set(xor(data.decrypt(xor(source, masks)), masks))
  }

export const cbcDecryptor =
  (cipher: KeyedBlockCipher): DecryptSector =>
  (iv, source, target) => {
    const previous = new Uint8Array(source.length)
    previous.set(iv)
    previous.set(source.subarray(0, source.length - BLOCK_BYTES), BLOCK_BYTES)
    target.set(xor(cipher.decrypt(source), previous))
  }

/** The tweak of each block is the one before it times x, little-endian. */
const xtsMasks = (first: Bytes, length: number): Bytes => {
  const masks = new Uint8Array(length)
  masks.set(first)
  for (let at = BLOCK_BYTES; at < length; at += BLOCK_BYTES) {
    let carry = 0
    for (let i = at; i < at + BLOCK_BYTES; i++) {
      const byte = masks[i - BLOCK_BYTES] as number
      masks[i] = (byte << 1) | carry
      carry = byte >> 7
    }
    if (carry === 1) masks[at] = (masks[at] as number) ^ POLYNOMIAL
  }
  return masks
}

const xor = (left: Bytes, right: Bytes): Bytes => {
  const result = new Uint8Array(left.length)
  for (let i = 0; i < left.length; i++) result[i] = (left[i] as number) ^ (right[i] as number)
  return result
}
