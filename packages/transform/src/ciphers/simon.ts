/**
 * Simon with 128-bit blocks.
 *
 * @see Beaulieu et al., "The Simon and Speck Families of Lightweight Block Ciphers", 2013, section 3
 * @module
 */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { wasmBase64 } from './simon.wasm.ts'
import { readLongsLE, writeLongs, writeWords } from './words.ts'

/** By the number of key words: rounds, and the constant sequence (z2, z3, z4; its period is 62). */
const VARIANTS: Readonly<Record<number, { readonly rounds: number; readonly z: string }>> = {
  2: { rounds: 68, z: '10101111011100000011010010011000101000010001111110010110110011' },
  3: { rounds: 69, z: '11011011101011000110010111100000010010001010011100110100001111' },
  4: { rounds: 72, z: '11010001111001101011011000100000010111000011001010010011101111' },
}

const rotateRight = (word: bigint, bits: bigint): bigint => BigInt.asUintN(64, (word >> bits) | (word << (64n - bits)))

const expandKey = (key: Bytes, area: Bytes): void => {
  const words = [...readLongsLE(key)]
  const count = words.length
  const { rounds, z } = VARIANTS[count] as { rounds: number; z: string }
  for (let i = count; i < rounds; i++) {
    let mixed = rotateRight(words[i - 1] as bigint, 3n)
    if (count === 4) mixed ^= words[i - 3] as bigint
    mixed ^= rotateRight(mixed, 1n)
    // ~k ^ 3 is k ^ c of the paper, c = 2^64 - 4.
    words.push(BigInt.asUintN(64, ~(words[i - count] as bigint) ^ mixed ^ 3n) ^ BigInt(z[(i - count) % 62] as string))
  }
  writeWords(area, 0, [rounds])
  writeLongs(area, 8, words)
}

export const simon: BlockCipherSpec = {
  name: 'simon',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 8 + 72 * 8,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  expandKey,
}
