/** Multilinear Galois Mode over any cipher with 128-bit blocks; the standard is made for Kuznyechik. @see RFC 9058 @module */
import type { Bytes } from '@granary/core'
import { TAG_BYTES, expectTag, joinSealed, lengthBlock, splitSealed } from './aead.ts'
import type { Aead } from './aead.ts'
import { blockCipherOf, keyCipher } from './block-cipher.ts'
import type { KeyedCipher } from './block-cipher.ts'
import { expectLength, invalid } from './check.ts'
import { gf128Of } from './gf128.ts'
import { withWorkspace } from './workspace.ts'
import type { BorrowOptions } from './workspace.ts'

/** A batch: this many bytes of message, and as many of key stream or coefficients beside them. */
const BATCH_BYTES = 16 * 1024

/** Which half of the counter block counts, section 4.1: the right one for encryption, the left one for authentication. */
const RIGHT = 8
const LEFT = 0

const checkMessage = (nonce: Bytes, bytes: Bytes, associated: Bytes): void => {
  expectLength('nonce', nonce, 16)
  if (((nonce[0] as number) & 0x80) !== 0)
    throw invalid('an MGM nonce has 127 bits: the top bit of its first byte must be 0', { argument: 'nonce' })
  if (bytes.length + associated.length > 0) return
  throw invalid('MGM needs a message or associated data', { argument: 'bytes' })
}

const firstCounter = (keyed: KeyedCipher, nonce: Bytes, topBit: 0 | 0x80): Bytes => {
  const block = nonce.slice()
  block[0] = ((nonce[0] as number) & 0x7f) | topBit
  return blockCipherOf(keyed).encrypt(block)
}

const borrow = ({ spec, expandedKey }: KeyedCipher): BorrowOptions => ({
  spec,
  key: expandedKey,
  dataBytes: 2 * BATCH_BYTES,
})

/** XORs E(Y1), E(Y2), ... into a copy of `bytes`: section 4.1, steps 1 to 3. */
const encryptMessage = (keyed: KeyedCipher, nonce: Bytes, bytes: Bytes): Bytes => {
  const counter = firstCounter(keyed, nonce, 0)
  const result = new Uint8Array(bytes.length)
  withWorkspace(borrow(keyed), (kernel, { arena, key, work, data }) => {
    const gf128 = gf128Of(arena)
    const stream = data.pointer + BATCH_BYTES
    work.bytes.set(counter)
    for (let done = 0; done < bytes.length; done += BATCH_BYTES) {
      const piece = bytes.subarray(done, done + BATCH_BYTES)
      const blocks = Math.ceil(piece.length / 16)
      data.bytes.set(piece)
      gf128.fillHalfCounters(work.pointer, stream, blocks, RIGHT)
      kernel.encrypt(key.pointer, stream, stream, blocks)
      gf128.xorInto(data.pointer, stream, blocks * 16)
      result.set(data.bytes.subarray(0, piece.length), done)
    }
  })
  return result
}

/** The tag: the sum of E(Z1) * block 1, E(Z2) * block 2, ..., enciphered: section 4.1, steps 4 to 8. */
const authenticate = (keyed: KeyedCipher, nonce: Bytes, associated: Bytes, ciphertext: Bytes): Bytes => {
  const counter = firstCounter(keyed, nonce, 0x80)
  return withWorkspace(borrow(keyed), (kernel, { arena, key, work, data }) => {
    const gf128 = gf128Of(arena)
    const hashes = data.pointer + BATCH_BYTES
    const sum = work.pointer + 16
    work.bytes.set(counter)
    work.bytes.fill(0, 16, 32)
    for (const part of [associated, ciphertext, lengthBlock(associated, ciphertext)]) {
      for (let done = 0; done < part.length; done += BATCH_BYTES) {
        const piece = part.subarray(done, done + BATCH_BYTES)
        const blocks = Math.ceil(piece.length / 16)
        data.bytes.set(piece)
        data.bytes.fill(0, piece.length, blocks * 16)
        gf128.fillHalfCounters(work.pointer, hashes, blocks, LEFT)
        kernel.encrypt(key.pointer, hashes, hashes, blocks)
        gf128.multiplyAdd(sum, hashes, data.pointer, blocks)
      }
    }
    kernel.encrypt(key.pointer, sum, sum, 1)
    return work.bytes.slice(16, 32)
  })
}

/**
 * A cipher in MGM with 128-bit tags. Nonces have 127 bits: 16 bytes with a zero top bit.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the cipher has no such name or key size, or no 128-bit block
 */
export const mgm = (name: string, key: Bytes): Aead => {
  const keyed = keyCipher(name, key, { blockBits: 128 })
  return {
    tagBytes: TAG_BYTES,
    seal(nonce, bytes, associated = new Uint8Array(0)) {
      checkMessage(nonce, bytes, associated)
      const ciphertext = encryptMessage(keyed, nonce, bytes)
      return joinSealed(ciphertext, authenticate(keyed, nonce, associated, ciphertext))
    },
    open(nonce, sealed, associated = new Uint8Array(0)) {
      const { ciphertext, tag } = splitSealed(sealed)
      checkMessage(nonce, ciphertext, associated)
      expectTag(authenticate(keyed, nonce, associated, ciphertext), tag)
      return encryptMessage(keyed, nonce, ciphertext)
    },
  }
}
