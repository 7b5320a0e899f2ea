/**
 * Serpent.
 *
 * @see Anderson, Biham, Knudsen, "Serpent: A Proposal for the Advanced Encryption Standard", 1998
 * @module
 */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { wasmBase64 } from './serpent.wasm.ts'
import { at, readWordsLE, rotateLeft32, writeWords } from './words.ts'

/** S0 to S7, a hexadecimal digit for each input, appendix A.5 of the proposal. */
const SBOXES = [
  '38f1a65bed42709c',
  'fc27905a1be86d34',
  '86793cafd1e40b52',
  '0fb8c963d124a75e',
  '1f83c0b6254a9e7d',
  'f52b4a9c03e8d671',
  '72c5846be91fd3a0',
  '1df0e82b74ca9356',
]

/** The fractional part of the golden ratio, section 4. */
const PHI = 0x9e3779b9

/** Runs an S-box on 32 nibbles at once: bit i of the four words is the i-th nibble. */
const substitute = (box: string, words: readonly number[]): number[] => {
  const result = [0, 0, 0, 0]
  for (let i = 0; i < 32; i++) {
    const nibble = words.reduce((sum, word, bit) => sum | (((word >>> i) & 1) << bit), 0)
    const output = Number.parseInt(box[nibble] as string, 16)
    for (let bit = 0; bit < 4; bit++) result[bit] = at(result, bit) | (((output >> bit) & 1) << i)
  }
  return result.map(word => word >>> 0)
}

/** The linear transformation of the rounds, section 3. */
const transform = (words: readonly number[]): number[] => {
  let [a, b, c, d] = words as [number, number, number, number]
  a = rotateLeft32(a, 13)
  c = rotateLeft32(c, 3)
  b = rotateLeft32(b ^ a ^ c, 1)
  d = rotateLeft32(d ^ c ^ (a << 3), 7)
  a = rotateLeft32(a ^ b ^ d, 5)
  c = rotateLeft32(c ^ d ^ (b << 7), 22)
  return [a, b, c, d]
}

/** Which inputs and which outputs the kernel's circuit of each S-box takes and gives complemented, bit i for word i. */
const COMPLEMENTS = [
  [0b0111, 0b1011],
  [0b0110, 0b0101],
  [0b1001, 0b0001],
  [0b1000, 0b1101],
  [0b1010, 0b0100],
  [0b1101, 0b0110],
  [0b1001, 0b1001],
  [0b1010, 0b1100],
] as const

const complement = (words: readonly number[], bits: number): number[] =>
  words.map((word, i) => ((bits >> i) & 1 ? ~word : word) >>> 0)

/** What a round key must be so that its round's circuit sees complemented inputs, and the complements before it vanish. */
const adaptKey = (roundKey: readonly number[], round: number): number[] => {
  const [inputs] = COMPLEMENTS[round % 8] as readonly [number, number]
  const [, outputs] = COMPLEMENTS[(round + 7) % 8] as readonly [number, number]
  const left = complement([0, 0, 0, 0], round === 0 ? 0 : outputs)
  const constant = round === 32 ? left : transform(left)
  return complement(
    roundKey.map((word, i) => word ^ at(constant, i)),
    round === 32 ? 0 : inputs,
  )
}

/** Section 4: the key is padded with one 1 bit and zeros, and stretched to 132 words that run through the S-boxes. */
const expandKey = (key: Bytes, area: Bytes): void => {
  const padded = new Uint8Array(32)
  padded.set(key)
  if (key.length < 32) padded[key.length] = 1
  const words = [...readWordsLE(padded)]
  for (let i = 0; i < 132; i++) {
    const mixed = at(words, i) ^ at(words, i + 3) ^ at(words, i + 5) ^ at(words, i + 7) ^ PHI ^ i
    words.push(rotateLeft32(mixed, 11))
  }
  const inAllLanes = (word: number): number[] => [word, word, word, word]
  for (let round = 0; round < 33; round++) {
    const box = SBOXES[(35 - round) % 8] as string
    const roundKey = substitute(box, words.slice(8 + 4 * round, 12 + 4 * round))
    writeWords(area, 64 * round, adaptKey(roundKey, round).flatMap(inAllLanes))
    writeWords(area, 2112 + 64 * round, roundKey.flatMap(inAllLanes))
  }
}

export const serpent: BlockCipherSpec = {
  name: 'serpent',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 2 * 33 * 64,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  expandKey,
}
