/** Rijndael with 128-bit blocks, which is AES. @see FIPS 197 @module */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import { wasmBase64 } from './aes.wasm.ts'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { invert, multiply, power, tabulate } from './galois.ts'
import { at, readWordsLE, writeWords } from './words.ts'

/** x^8 + x^4 + x^3 + x + 1, FIPS 197 section 4.2. */
const POLYNOMIAL = 0x11b

const times = (a: number, b: number): number => multiply(a, b, POLYNOMIAL)

/** The affine transformation of FIPS 197 section 5.1.1. */
const affine = (x: number): number => {
  const doubled = x | (x << 8)
  return (x ^ (doubled >> 4) ^ (doubled >> 5) ^ (doubled >> 6) ^ (doubled >> 7) ^ 0x63) & 0xff
}

/** SubBytes, made when first used. Also S1 of ARIA. */
export const aesSbox = (): Uint8Array => (sbox ??= tabulate(x => affine(power(x, 254, POLYNOMIAL))))
let sbox: Uint8Array | undefined

const column = (a: number, b: number, c: number, d: number): number => (a | (b << 8) | (c << 16) | (d << 24)) >>> 0

/** MixColumns of a word, or its inverse, by the coefficients of the polynomial, lowest first. */
const mixColumn = (word: number, coefficients: readonly number[]): number => {
  let mixed = 0
  for (let row = 0; row < 4; row++)
    for (let i = 0; i < 4; i++)
      mixed ^= times((word >>> (8 * i)) & 0xff, at(coefficients, (i - row + 4) % 4)) << (8 * row)
  return mixed >>> 0
}

const MIX = [2, 3, 1, 1]
const INVERSE_MIX = [14, 11, 13, 9]

/** T0..T3, their inverses, S, inverse S: see assembly/ciphers/aes.ts. */
const makeTables = (): Bytes => {
  const tables = new Uint8Array(8704)
  const forward = aesSbox()
  const backward = invert(forward)
  for (const [half, box, mix] of [[0, forward, MIX] as const, [4096, backward, INVERSE_MIX] as const])
    for (let row = 0; row < 4; row++)
      writeWords(
        tables,
        half + row * 1024,
        Array.from(box, y => mixColumn(y * 2 ** (8 * row), mix)),
      )
  tables.set(forward, 8192)
  tables.set(backward, 8448)
  return tables
}

const substitute = (word: number): number => {
  const box = aesSbox()
  return column(at(box, word & 255), at(box, (word >>> 8) & 255), at(box, (word >>> 16) & 255), at(box, word >>> 24))
}

/** FIPS 197 section 5.2, on little-endian words (so RotWord turns right), and section 5.3.5 for the inverse keys. */
const expandKey = (key: Bytes, area: Bytes): void => {
  const keyWords = key.length / 4
  const rounds = keyWords + 6
  const words = new Uint32Array(4 * (rounds + 1))
  words.set(readWordsLE(key))
  for (let i = keyWords, constant = 1; i < words.length; i++) {
    let next = at(words, i - 1)
    if (i % keyWords === 0) {
      next = substitute((next >>> 8) | (next << 24)) ^ constant
      constant = times(constant, 2)
    } else if (keyWords > 6 && i % keyWords === 4) next = substitute(next)
    words[i] = at(words, i - keyWords) ^ next
  }
  writeWords(area, 0, [rounds])
  writeWords(area, 16, words)
  for (let round = 0; round <= rounds; round++) {
    const source = words.subarray(4 * (rounds - round), 4 * (rounds - round) + 4)
    const isOuter = round === 0 || round === rounds
    writeWords(area, 256 + 16 * round, isOuter ? source : Array.from(source, word => mixColumn(word, INVERSE_MIX)))
  }
}

export const aes: BlockCipherSpec = {
  name: 'aes',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 496,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: makeTables,
  expandKey,
  openssl: { family: 'aes', isFaster: true },
}
