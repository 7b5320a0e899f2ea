/**
 * Threefish, a tweakable cipher with 256, 512 and 1024-bit blocks and keys.
 *
 * @see Ferguson et al., "The Skein Hash Function Family", version 1.3, section 3.3
 * @module
 */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel, ExpandOptions } from './block-cipher-spec.ts'
import { wasmBase64 } from './threefish.wasm.ts'
import { readLongsLE, writeLongs, writeWords } from './words.ts'

/** C240, the constant of the key schedule: section 3.3.2. */
const PARITY = 0x1bd11bdaa9fc1a22n

const xorAll = (words: readonly bigint[], start: bigint): bigint => words.reduce((sum, word) => sum ^ word, start)

/** A subkey for every fourth round and one at the end. */
const expandKey = (key: Bytes, area: Bytes, { tweak }: ExpandOptions): void => {
  const words = [...readLongsLE(key)]
  const count = words.length
  words.push(xorAll(words, PARITY))
  const tweaks = [...readLongsLE(tweak)]
  tweaks.push(xorAll(tweaks, 0n))
  const rounds = count === 16 ? 80 : 72
  const subkeys: bigint[] = []
  for (let s = 0; s <= rounds / 4; s++) {
    for (let i = 0; i < count; i++) {
      let word = words[(s + i) % (count + 1)] as bigint
      if (i === count - 3) word += tweaks[s % 3] as bigint
      if (i === count - 2) word += tweaks[(s + 1) % 3] as bigint
      if (i === count - 1) word += BigInt(s)
      subkeys.push(word)
    }
  }
  writeWords(area, 0, [key.length, rounds / 8])
  writeLongs(area, 8, subkeys)
}

export const threefish: BlockCipherSpec = {
  name: 'threefish',
  sizes: [256, 512, 1024].map(bits => ({ blockBits: bits, keyBits: [bits] })),
  tweakBytes: 16,
  expandedBytes: 8 + 21 * 128,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  expandKey,
}
