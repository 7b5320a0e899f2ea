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
  for (let round = 0; round < 33; round++) {
    const box = SBOXES[(35 - round) % 8] as string
    const roundKey = substitute(box, words.slice(8 + 4 * round, 12 + 4 * round))
    writeWords(area, 64 * round, roundKey.flatMap(word => [word, word, word, word]))
  }
}

export const serpent: BlockCipherSpec = {
  name: 'serpent',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 33 * 64,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  expandKey,
}
