/**
 * Speck with 128-bit blocks.
 *
 * @see Beaulieu et al., "The Simon and Speck Families of Lightweight Block Ciphers", 2013, section 4
 * @module
 */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { wasmBase64 } from './speck.wasm.ts'
import { readLongsLE, writeLongs, writeWords } from './words.ts'

const mask = (word: bigint): bigint => BigInt.asUintN(64, word)
const rotateLeft = (word: bigint, bits: bigint): bigint => mask((word << bits) | (word >> (64n - bits)))

/** The round function run on the key words, with the round number for a key. */
const expandKey = (key: Bytes, area: Bytes): void => {
  const [first = 0n, ...others] = readLongsLE(key)
  const rounds = 31 + others.length
  const roundKeys = [first]
  let next = first
  for (let round = 0; round < rounds - 1; round++) {
    const other = others[round % others.length] as bigint
    const mixed = mask(rotateLeft(other, 56n) + next) ^ BigInt(round)
    others[round % others.length] = mixed
    next = rotateLeft(next, 3n) ^ mixed
    roundKeys.push(next)
  }
  writeWords(area, 0, [rounds])
  writeLongs(area, 8, roundKeys)
}

export const speck: BlockCipherSpec = {
  name: 'speck',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 8 + 34 * 8,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  expandKey,
}
