/** Streebog (GOST R 34.11-2012), HMAC over it, and its key derivation. @see RFC 6986, RFC 7836 @module */
import type { Bytes } from '@granary/core'
import { invalid } from './check.ts'
import { multiply } from './galois.ts'
import { gostPi } from './kuznyechik.ts'
import { STREEBOG_CONSTANTS_HEX } from './streebog-constants.ts'
import { at, readWordsLE } from './words.ts'

const BLOCK_BYTES = 64

/**
 * The linear transformation as a matrix over GF(2^8) with x^8 + x^6 + x^5 + x^4 + 1, bits of a byte reversed
 * (Kazymyrov, Kazymyrova, "Algebraic Aspects of the Russian Hash Standard GOST R 34.11-2012"). RFC 6986 section 6.4
 * prints the same thing as 64 words.
 */
const POLYNOMIAL = 0x171
const MATRIX = [
  [0x71, 0x05, 0x09, 0xb9, 0x61, 0xa2, 0x27, 0x0e],
  [0x04, 0x88, 0x5b, 0xb2, 0xe4, 0x36, 0x5f, 0x65],
  [0x5f, 0xcb, 0xad, 0x0f, 0xba, 0x2c, 0x04, 0xa5],
  [0xe5, 0x01, 0x54, 0xba, 0x0f, 0x11, 0x2a, 0x76],
  [0xd4, 0x81, 0x1c, 0xfa, 0x39, 0x5e, 0x15, 0x24],
  [0x05, 0x71, 0x5e, 0x66, 0x17, 0x1c, 0xd0, 0x02],
  [0x2d, 0xf1, 0xe7, 0x28, 0x55, 0xa0, 0x4c, 0x9a],
  [0x0e, 0x02, 0xf6, 0x8a, 0x15, 0x9d, 0x39, 0x71],
]

const reverseBits = (byte: number): number => {
  let reversed = 0
  for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) reversed |= 0x80 >> bit
  return reversed
}

/** Substitution and linear transformation of the byte at each place of a word: its low and high 32 bits, interleaved. */
const makeTables = (): readonly Uint32Array[] =>
  Array.from({ length: 8 }, (_, place) => {
    const table = new Uint32Array(512)
    for (const [x, y] of gostPi().entries()) {
      // The most significant byte of a word is the first row and column.
      const image = MATRIX.map(row => reverseBits(multiply(reverseBits(y), at(row, 7 - place), POLYNOMIAL)))
      for (const [row, byte] of image.entries()) {
        const half = row < 4 ? 1 : 0
        table[2 * x + half] = at(table, 2 * x + half) | (byte << (24 - 8 * (row % 4)))
      }
    }
    return table
  })

const makeConstants = (): readonly Uint32Array[] =>
  STREEBOG_CONSTANTS_HEX.map(hex => readWordsLE(Uint8Array.from(Buffer.from(hex, 'hex').reverse())))

let tables: readonly Uint32Array[] | undefined
let constants: readonly Uint32Array[] | undefined

/** 512 bits as sixteen 32-bit words, the lowest first. */
type State = Uint32Array

const xor = (a: State, b: State): State => a.map((word, i) => word ^ at(b, i))

/** The transformations S, P and L at once: word i of the result takes byte i of every word. */
const lps = (state: State): State => {
  const lookUps = (tables ??= makeTables())
  const result = new Uint32Array(16)
  for (let i = 0; i < 8; i++) {
    let low = 0
    let high = 0
    for (let j = 0; j < 8; j++) {
      const byte = (at(state, 2 * j + (i >> 2)) >>> (8 * (i & 3))) & 0xff
      const table = lookUps[j] as Uint32Array
      low ^= at(table, 2 * byte)
      high ^= at(table, 2 * byte + 1)
    }
    result[2 * i] = low
    result[2 * i + 1] = high
  }
  return result
}

/** The compression function g, section 8. */
const compress = (hash: State, block: State, bits: State): State => {
  let key = lps(xor(hash, bits))
  let state = block
  for (const constant of (constants ??= makeConstants())) {
    state = lps(xor(state, key))
    key = lps(xor(key, constant))
  }
  return xor(xor(xor(state, key), hash), block)
}

/** Adds modulo 2^512. */
const add = (a: State, b: State): State => {
  let carry = 0
  return a.map((word, i) => {
    const sum = word + at(b, i) + carry
    carry = sum > 0xffff_ffff ? 1 : 0
    return sum
  })
}

const small = (value: number): State => {
  const state = new Uint32Array(16)
  state[0] = value
  return state
}

/**
 * The Streebog hash of a message.
 *
 * @param hashBits 256 or 512
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` for another size
 */
export const streebog = (hashBits: number, message: Bytes): Bytes => {
  if (hashBits !== 256 && hashBits !== 512)
    throw invalid(`streebog: expected 256 or 512 bits, got ${hashBits}`, { argument: 'hashBits', got: hashBits })
  let hash: State = new Uint32Array(16).fill(hashBits === 256 ? 0x0101_0101 : 0)
  let bits = small(0)
  let sum = small(0)
  const whole = message.length - (message.length % BLOCK_BYTES)
  for (let done = 0; done <= whole; done += BLOCK_BYTES) {
    const block = new Uint8Array(BLOCK_BYTES)
    const rest = message.subarray(done, done + BLOCK_BYTES)
    block.set(rest)
    if (done === whole) block[rest.length] = 1
    const words = readWordsLE(block)
    hash = compress(hash, words, bits)
    bits = add(bits, small(rest.length * 8))
    sum = add(sum, words)
  }
  hash = compress(hash, bits, small(0))
  hash = compress(hash, sum, small(0))
  const digest = new Uint8Array(BLOCK_BYTES)
  const view = new DataView(digest.buffer)
  for (const [i, word] of hash.entries()) view.setUint32(4 * i, word, true)
  return hashBits === 512 ? digest : digest.slice(32)
}

const concatenate = (...parts: readonly Bytes[]): Bytes => new Uint8Array(Buffer.concat(parts))

/** HMAC with Streebog (RFC 2104, RFC 7836 section 4.1). @param hashBits 256 or 512 */
export const hmacStreebog = (hashBits: number, key: Bytes, message: Bytes): Bytes => {
  const padded = new Uint8Array(BLOCK_BYTES)
  padded.set(key.length > BLOCK_BYTES ? streebog(hashBits, key) : key)
  const inner = streebog(
    hashBits,
    concatenate(
      padded.map(byte => byte ^ 0x36),
      message,
    ),
  )
  return streebog(
    hashBits,
    concatenate(
      padded.map(byte => byte ^ 0x5c),
      inner,
    ),
  )
}

/** KDF_GOSTR3411_2012_256: one 32-byte key from a key, a label and a seed. @see RFC 7836 section 4.5 */
export const kdfGostr3411 = (key: Bytes, label: Bytes, seed: Bytes): Bytes =>
  hmacStreebog(256, key, concatenate(Uint8Array.of(1), label, Uint8Array.of(0), seed, Uint8Array.of(1, 0)))
