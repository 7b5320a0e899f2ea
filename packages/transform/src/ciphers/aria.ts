/** ARIA. @see RFC 5794 @module */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import { aesSbox } from './aes.ts'
import { wasmBase64 } from './aria.wasm.ts'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { invert, parity, power, tabulate } from './galois.ts'
import { at, writeWords } from './words.ts'

/** x^8 + x^4 + x^3 + x + 1, the field of AES. */
const POLYNOMIAL = 0x11b

/** S2 is an affine map of x^247: the rows of its matrix, for result bit 0 first, as masks of the argument; then 0xe2 is added. */
const ROWS = [0x7a, 0xbc, 0xeb, 0xb9, 0x34, 0x81, 0xba, 0xcb]

const secondSbox = (): Uint8Array =>
  tabulate(x => {
    const raised = power(x, 247, POLYNOMIAL)
    return ROWS.reduce((sum, row, bit) => sum ^ (parity(raised & row) << bit), 0xe2)
  })

/** S1, S2, inverse S1, inverse S2: the order of substitution layer 1. */
const sboxes = (): readonly Uint8Array[] => (boxes ??= makeSboxes())
let boxes: readonly Uint8Array[] | undefined

const makeSboxes = (): readonly Uint8Array[] => {
  const first = aesSbox()
  const second = secondSbox()
  return [first, second, invert(first), invert(second)]
}

/** Which bytes are summed for every byte of the diffusion layer A, section 2.4.3. */
const DIFFUSION = [
  [3, 4, 6, 8, 9, 13, 14],
  [2, 5, 7, 8, 9, 12, 15],
  [1, 4, 6, 10, 11, 12, 15],
  [0, 5, 7, 10, 11, 13, 14],
  [0, 2, 5, 8, 11, 14, 15],
  [1, 3, 4, 9, 10, 14, 15],
  [0, 2, 7, 9, 10, 12, 13],
  [1, 3, 6, 8, 11, 12, 13],
  [0, 1, 4, 7, 10, 13, 15],
  [0, 1, 5, 6, 11, 12, 14],
  [2, 3, 5, 6, 8, 13, 15],
  [2, 3, 4, 7, 9, 12, 14],
  [1, 2, 6, 7, 9, 11, 12],
  [0, 3, 6, 7, 8, 10, 13],
  [0, 3, 4, 5, 9, 11, 14],
  [1, 2, 4, 5, 8, 10, 15],
]

const diffuse = (block: Bytes): Bytes =>
  Uint8Array.from(DIFFUSION, places => places.reduce((sum, place) => sum ^ at(block, place), 0))

const xor = (a: Bytes, b: Bytes): Bytes => a.map((byte, i) => byte ^ at(b, i))

/** The round functions FO and FE: substitution layer 1 or 2 between key addition and diffusion, section 2.4.1. */
const roundFunction = (block: Bytes, key: Bytes, layer: 1 | 2): Bytes =>
  diffuse(xor(block, key).map((byte, i) => at(sboxes()[(i + 2 * (layer - 1)) % 4] as Uint8Array, byte)))

/** Turns a block left by a number of bits. */
const turn = (block: Bytes, bits: number): Bytes => {
  const whole = bits >> 3
  const part = bits & 7
  return block.map((_, i) => (at(block, (i + whole) % 16) << part) | (at(block, (i + whole + 1) % 16) >> (8 - part)))
}

/** C1, C2, C3, section 2.2: the fraction of 1/pi. */
const CONSTANTS = [
  '517cc1b727220a94fe13abe8fa9a6ee0',
  '6db14acc9e21c820ff28b1d5ef5de2b0',
  'db92371d2126e9700324977504e8c90e',
]

/** How far the second word of a pair is turned left, for every four round keys: 19, 31 to the right, then 61, 31, 19 to the left. */
const TURNS = [128 - 19, 128 - 31, 61, 31, 19]

/** Section 2.2. */
const roundKeys = (key: Bytes, rounds: number): Bytes[] => {
  const left = key.slice(0, 16)
  const right = new Uint8Array(16)
  right.set(key.subarray(16))
  const first = key.length / 8 - 2
  const constant = (i: number): Bytes => Uint8Array.from(Buffer.from(CONSTANTS[(first + i) % 3] as string, 'hex'))
  const w1 = xor(roundFunction(left, constant(0), 1), right)
  const w2 = xor(roundFunction(w1, constant(1), 2), left)
  const w3 = xor(roundFunction(w2, constant(2), 1), w1)
  const words = [left, w1, w2, w3]
  return Array.from({ length: rounds + 1 }, (_, i) =>
    xor(words[i % 4] as Bytes, turn(words[(i + 1) % 4] as Bytes, at(TURNS, i >> 2))),
  )
}

const expandKey = (key: Bytes, area: Bytes): void => {
  const rounds = 8 + key.length / 4
  const keys = roundKeys(key, rounds)
  for (const [part, order] of [keys, keys.toReversed()].entries()) {
    writeWords(area, 288 * part, [rounds])
    for (const [i, roundKey] of order.entries()) {
      const isInner = part === 1 && i > 0 && i < rounds
      area.set(isInner ? diffuse(roundKey) : roundKey, 288 * part + 16 + 16 * i)
    }
  }
}

/** See assembly/ciphers/aria.ts: a byte of a word goes into the three others. */
const makeTables = (): Bytes => {
  const tables = new Uint8Array(5120)
  for (const [place, box] of sboxes().entries()) {
    for (const [x, y] of box.entries())
      tables.set(
        [0, 1, 2, 3].map(i => (i === place ? 0 : y)),
        1024 * place + 4 * x,
      )
    tables.set(box, 4096 + 256 * place)
  }
  return tables
}

export const aria: BlockCipherSpec = {
  name: 'aria',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 576,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: makeTables,
  expandKey,
  openssl: { family: 'aria', isFaster: false },
}
