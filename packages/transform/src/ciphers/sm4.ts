/** SM4. @see GB/T 32907-2016, and draft-ribose-cfrg-sm4 for an English text @module */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { tabulate } from './galois.ts'
import { sm4RoundKeys, sm4Substitute, sm4Tables } from './sm4-nibbles.ts'
import { wasmBase64 } from './sm4.wasm.ts'
import { at, readWordsBE, rotateLeft32, writeWords } from './words.ts'

const sbox = (): Uint8Array => (box ??= tabulate(sm4Substitute))
let box: Uint8Array | undefined

const FK = [0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc]

/** Byte j of constant i is 7 (4 i + j) mod 256. */
const constant = (i: number): number =>
  [0, 1, 2, 3].reduce((word, j) => ((word << 8) | ((7 * (4 * i + j)) & 0xff)) >>> 0, 0)

const substitute = (word: number): number =>
  [24, 16, 8, 0].reduce((result, shift) => result | (at(sbox(), (word >>> shift) & 0xff) << shift), 0)

const expandKey = (key: Bytes, area: Bytes): void => {
  const words = Array.from(readWordsBE(key), (word, i) => word ^ at(FK, i))
  for (let i = 0; i < 32; i++) {
    const mixed = substitute(at(words, i + 1) ^ at(words, i + 2) ^ at(words, i + 3) ^ constant(i))
    words.push(at(words, i) ^ mixed ^ rotateLeft32(mixed, 13) ^ rotateLeft32(mixed, 23))
  }
  const roundKeys = words.slice(4)
  writeWords(area, 0, sm4RoundKeys(roundKeys))
  writeWords(area, 128, sm4RoundKeys(roundKeys.toReversed()))
}

export const sm4: BlockCipherSpec = {
  name: 'sm4',
  sizes: [{ blockBits: 128, keyBits: [128] }],
  tweakBytes: 0,
  expandedBytes: 256,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: sm4Tables,
  expandKey,
  openssl: { family: 'sm4', isFaster: false },
}
