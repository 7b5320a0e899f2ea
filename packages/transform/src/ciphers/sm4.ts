/** SM4. @see GB/T 32907-2016, and draft-ribose-cfrg-sm4 for an English text @module */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { parity, power, tabulate } from './galois.ts'
import { wasmBase64 } from './sm4.wasm.ts'
import { at, readWordsBE, rotateLeft32, writeWords } from './words.ts'

/** x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1. */
const POLYNOMIAL = 0x1f5

/** The affine map before and after the inversion: row i of its matrix is this byte turned left by i; then 0xd3 is added. */
const affine = (x: number): number => {
  let result = 0xd3
  for (let bit = 0; bit < 8; bit++) {
    const row = (0xa7 << bit) | (0xa7 >> (8 - bit))
    result ^= parity(x & row & 0xff) << bit
  }
  return result
}

/** S(x) = A(I(A(x))), as Liu et al. found ("Analysis of the SMS4 Block Cipher", ACISP 2007). */
const sbox = (): Uint8Array => (box ??= tabulate(x => affine(power(affine(x), 254, POLYNOMIAL))))
let box: Uint8Array | undefined

const FK = [0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc]

/** Byte j of constant i is 7 (4 i + j) mod 256. */
const constant = (i: number): number =>
  [0, 1, 2, 3].reduce((word, j) => ((word << 8) | ((7 * (4 * i + j)) & 0xff)) >>> 0, 0)

const substitute = (word: number): number =>
  [24, 16, 8, 0].reduce((result, shift) => result | (at(sbox(), (word >>> shift) & 0xff) << shift), 0)

/** The linear transformation L of the rounds. */
const linear = (word: number): number =>
  word ^ rotateLeft32(word, 2) ^ rotateLeft32(word, 10) ^ rotateLeft32(word, 18) ^ rotateLeft32(word, 24)

const expandKey = (key: Bytes, area: Bytes): void => {
  const words = Array.from(readWordsBE(key), (word, i) => word ^ at(FK, i))
  for (let i = 0; i < 32; i++) {
    const mixed = substitute(at(words, i + 1) ^ at(words, i + 2) ^ at(words, i + 3) ^ constant(i))
    words.push(at(words, i) ^ mixed ^ rotateLeft32(mixed, 13) ^ rotateLeft32(mixed, 23))
  }
  const roundKeys = words.slice(4)
  writeWords(area, 0, roundKeys)
  writeWords(area, 128, roundKeys.toReversed())
}

export const sm4: BlockCipherSpec = {
  name: 'sm4',
  sizes: [{ blockBits: 128, keyBits: [128] }],
  tweakBytes: 0,
  expandedBytes: 256,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: () => {
    const tables = new Uint8Array(4096)
    for (let place = 0; place < 4; place++)
      writeWords(
        tables,
        1024 * place,
        Array.from(sbox(), y => linear(y << (8 * place))),
      )
    return tables
  },
  expandKey,
  openssl: { family: 'sm4', isFaster: false },
}
