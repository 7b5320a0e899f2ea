/**
 * Anubis, as tweaked in 2001 for cheaper hardware.
 *
 * @see Barreto, Rijmen, "The Anubis Block Cipher", revised version
 * @module
 */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import { wasmBase64 } from './anubis.wasm.ts'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { multiply, tabulate } from './galois.ts'
import { at, writeWords } from './words.ts'

/** x^8 + x^4 + x^3 + x^2 + 1. */
const POLYNOMIAL = 0x11d

const times = (a: number, b: number): number => multiply(a, b, POLYNOMIAL)

/** The mini-boxes P and Q of the tweak, a hexadecimal digit for each input. */
const P = '3fe054bcda967821'
const Q = '9e56a23cf04d7b18'

/** The S-box's layers: the mini-boxes of the high and of the low four bits. */
const LAYERS = [
  [P, Q],
  [Q, P],
  [P, Q],
] as const

/**
 * What a mini-box adds to the byte after its layer (figure 1): the upper two bits of both halves make the next high half,
 * the lower two bits the next low half. After the last layer halves stay together.
 */
const scatter = (value: number, isHigh: boolean, isLast: boolean): number => {
  if (isLast) return isHigh ? value << 4 : value
  const [upper, lower] = [value >> 2, value & 3]
  return isHigh ? (upper << 6) | (lower << 2) : (upper << 4) | lower
}

/** For the high and the low half of each layer, sixteen bytes: XORed together they are the byte after that layer. */
const layerTables = (): Bytes =>
  Uint8Array.from(
    LAYERS.flatMap((boxes, layer) =>
      boxes.flatMap((mini, half) =>
        Array.from(mini, digit => scatter(Number.parseInt(digit, 16), half === 0, layer === LAYERS.length - 1)),
      ),
    ),
  )

/** The S-box: three layers of mini-boxes, the inner bits of the halves changed over between them. An involution. */
const makeSbox = (): Uint8Array => {
  const tables = layerTables()
  return tabulate(x =>
    [0, 32, 64].reduce((byte, layer) => at(tables, layer + (byte >> 4)) ^ at(tables, layer + 16 + (byte & 15)), x),
  )
}

const sbox = (): Uint8Array => (box ??= makeSbox())
let box: Uint8Array | undefined

/** The diffusion matrix H = had(1, 2, 4, 6): element i, j is the factor of index i xor j. */
const FACTORS = [1, 2, 4, 6]

/** The key extraction polynomial's steps: byte i of the sum so far times 1, 2, 6, 8. */
const EXTRACTION = [1, 2, 6, 8]

type State = readonly (readonly number[])[]

/** A round's diffusion: rows times H. */
const diffuse = (state: State): number[][] =>
  state.map(row => FACTORS.map((_, j) => row.reduce((sum, byte, i) => sum ^ times(byte, at(FACTORS, i ^ j)), 0)))

const substitute = (state: State): number[][] => state.map(row => row.map(byte => at(sbox(), byte)))

/** The key selection: substitution, extraction by columns from the last row to the first, transposition. */
const selectRoundKey = (state: State): number[] =>
  [0, 1, 2, 3].flatMap(place => {
    const column = substitute(state).map(row => at(row, place))
    return EXTRACTION.map(factor => column.reduceRight((sum, byte) => times(sum, factor) ^ byte, 0))
  })

/** The key evolution: substitution, cyclic shift of the columns, diffusion, and a constant from the S-box into the first row. */
const evolve = (state: State, round: number): number[][] => {
  const substituted = substitute(state)
  const rows = state.length
  const shifted = state.map((_, i) => [0, 1, 2, 3].map(j => at(substituted[(i + rows - j) % rows] as number[], j)))
  const next = diffuse(shifted)
  next[0] = (next[0] as number[]).map((byte, j) => byte ^ at(sbox(), 4 * round + j))
  return next
}

const expandKey = (key: Bytes, area: Bytes): void => {
  const rounds = 8 + key.length / 4
  let state: number[][] = Array.from({ length: key.length / 4 }, (_, i) => [...key.subarray(4 * i, 4 * i + 4)])
  writeWords(area, 0, [rounds])
  writeWords(area, 320, [rounds])
  for (let round = 0; round <= rounds; round++) {
    const roundKey = selectRoundKey(state)
    area.set(roundKey, 16 + 16 * round)
    const isOuter = round === 0 || round === rounds
    const rows = [0, 4, 8, 12].map(i => roundKey.slice(i, i + 4))
    area.set(isOuter ? roundKey : diffuse(rows).flat(), 336 + 16 * (rounds - round))
    state = evolve(state, round)
  }
}

export const anubis: BlockCipherSpec = {
  name: 'anubis',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 640,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: layerTables,
  expandKey,
}
