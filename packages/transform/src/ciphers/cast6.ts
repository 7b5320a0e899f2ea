/** CAST-256. @see RFC 2612 @module */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { CAST_SBOXES_HEX } from './cast6-sboxes.ts'
import { wasmBase64 } from './cast6.wasm.ts'
import { at, readWordsBE, rotateLeft32, writeWords } from './words.ts'

/** S1 to S4, read when first used. */
export const castSboxes = (): readonly Uint32Array[] =>
  (sboxes ??= CAST_SBOXES_HEX.map(hex => readWordsBE(Buffer.from(hex, 'hex'))))
let sboxes: readonly Uint32Array[] | undefined

/** Section 2.4: masking keys step by Mm from Cm, rotation keys by Mr from Cr. */
const MASK = { first: 0x5a827999, step: 0x6ed9eba1 }
const TURN = { first: 19, step: 17 }

type Combine = (a: number, b: number, c: number, d: number) => number

/** How f1, f2 and f3 mix key and data, and how they combine the four look-ups: section 2.2. */
const FUNCTIONS: readonly { readonly mix: (mask: number, data: number) => number; readonly combine: Combine }[] = [
  { mix: (mask, data) => mask + data, combine: (a, b, c, d) => (a ^ b) - c + d },
  { mix: (mask, data) => mask ^ data, combine: (a, b, c, d) => (a - b + c) ^ d },
  { mix: (mask, data) => mask - data, combine: (a, b, c, d) => ((a + b) ^ c) - d },
]

const roundFunction = (kind: number, data: number, mask: number, turn: number): number => {
  const { mix, combine } = FUNCTIONS[kind] as (typeof FUNCTIONS)[number]
  const x = rotateLeft32(mix(mask, data), turn)
  const look = (box: number, byte: number): number => at(castSboxes()[box] as Uint32Array, byte & 0xff)
  return combine(look(0, x >>> 24), look(1, x >>> 16), look(2, x >>> 8), look(3, x))
}

/** Section 2.4: twelve times, two octaves over the words A to H, then four rotation keys and four masking keys. */
const expandKey = (key: Bytes, area: Bytes): void => {
  const words = new Uint32Array(8)
  words.set(readWordsBE(key))
  let mask = MASK.first
  let turn = TURN.first
  const octave = (): void => {
    for (let i = 0; i < 8; i++) {
      const from = 7 - i // H changes G, G changes F, ... A changes H.
      const to = (from + 7) % 8
      words[to] = at(words, to) ^ roundFunction(i % 3, at(words, from), mask, turn)
      mask = (mask + MASK.step) >>> 0
      turn = (turn + TURN.step) % 32
    }
  }
  const pairs: number[] = []
  for (let i = 0; i < 12; i++) {
    octave()
    octave()
    // Masking keys are H, F, D, B; rotation keys A, C, E, G.
    for (const place of [0, 2, 4, 6]) pairs.push(at(words, 7 - place), at(words, place) & 31)
  }
  writeWords(area, 0, pairs)
}

export const cast6: BlockCipherSpec = {
  name: 'cast6',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 384,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: () => {
    const tables = new Uint8Array(4096)
    for (const [i, box] of castSboxes().entries()) writeWords(tables, 1024 * i, box)
    return tables
  },
  expandKey,
}
