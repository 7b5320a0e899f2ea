/** Kalyna. @see DSTU 7624:2014; Oliynykov et al., "A New Encryption Standard of Ukraine: The Kalyna Block Cipher" @module */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel, ExpandOptions } from './block-cipher-spec.ts'
import { invert, multiply } from './galois.ts'
import { KALYNA_SBOXES_HEX } from './kalyna-sboxes.ts'
import { wasmBase64 } from './kalyna.wasm.ts'
import { at, readLongsLE, writeLongs, writeWords } from './words.ts'

/** x^8 + x^4 + x^3 + x^2 + 1. */
const POLYNOMIAL = 0x11d

/** First rows of the circulant MDS matrix and of its inverse. */
const MDS = [0x01, 0x01, 0x05, 0x01, 0x08, 0x06, 0x07, 0x04]
const INVERSE_MDS = [0xad, 0x95, 0x76, 0xa8, 0x2f, 0x49, 0xd7, 0xca]

/** The four S-boxes, read when first used: row r of the state goes through box r mod 4. */
export const kalynaSboxes = (): readonly Uint8Array[] =>
  (sboxes ??= KALYNA_SBOXES_HEX.map(hex => Uint8Array.from(Buffer.from(hex, 'hex'))))
let sboxes: readonly Uint8Array[] | undefined

/** A byte in row `place`, times a circulant matrix: a column. */
const mix = (byte: number, place: number, matrix: readonly number[]): number[] =>
  matrix.map((_, row) => multiply(byte, at(matrix, (place - row + 8) % 8), POLYNOMIAL))

/** See assembly/ciphers/kalyna.ts. */
const makeTables = (): Bytes => {
  const tables = new Uint8Array(25_600)
  for (const [row, box] of kalynaSboxes().entries()) {
    for (const [x, y] of box.entries()) tables.set(mix(y, row, MDS), 2048 * row + 8 * x)
    tables.set(invert(box), 24_576 + 256 * row)
  }
  for (let row = 0; row < 8; row++)
    for (let x = 0; x < 256; x++) tables.set(mix(x, row, INVERSE_MDS), 8192 + 2048 * row + 8 * x)
  return tables
}

const mask = (word: bigint): bigint => BigInt.asUintN(64, word)
const add = (a: readonly bigint[], b: readonly bigint[]): bigint[] => a.map((word, i) => mask(word + (b[i] as bigint)))
const xor = (a: readonly bigint[], b: readonly bigint[]): bigint[] => a.map((word, i) => word ^ (b[i] as bigint))

/** Substitution, shift of the rows, and the matrix, on little-endian columns. */
const encryptRound = (columns: readonly bigint[]): bigint[] => {
  const count = columns.length
  return columns.map((_, column) => {
    const mixed = new Uint8Array(8)
    for (let row = 0; row < 8; row++) {
      const from = columns[(column + count - ((row * count) >> 3)) % count] as bigint
      const byte = Number((from >> BigInt(8 * row)) & 0xffn)
      const image = mix(at(kalynaSboxes()[row % 4] as Uint8Array, byte), row, MDS)
      for (let i = 0; i < 8; i++) mixed[i] = at(mixed, i) ^ at(image, i)
    }
    return readLongsLE(mixed)[0] as bigint
  })
}

/** Three rounds between addition, exclusive or and addition of key words: what both halves of the key schedule are made of. */
const stir = (start: readonly bigint[], first: readonly bigint[], second: readonly bigint[]): bigint[] =>
  encryptRound(xor(encryptRound(add(start, first)), second))

/** Turns a round key left by 2 columns + 3 bytes: the odd round keys come from the even ones. */
const turn = (columns: readonly bigint[]): bigint[] => {
  const bits = BigInt(8 * (2 * columns.length + 3))
  const width = 64n * BigInt(columns.length)
  const whole = columns.reduceRight((sum, word) => (sum << 64n) | word, 0n)
  const turned = (whole >> bits) | (whole << (width - bits))
  return columns.map((_, i) => mask(turned >> (64n * BigInt(i))))
}

/** The paper, section 4. */
const expandKey = (key: Bytes, area: Bytes, { blockBits }: ExpandOptions): void => {
  const words = [...readLongsLE(key)]
  const columns = blockBits / 64
  const rounds = { 2: 10, 4: 14, 8: 18 }[words.length] as number
  const low = words.slice(0, columns)
  const high = words.slice(-columns)
  const seed = low.map((_, i) => (i === 0 ? BigInt(columns + words.length + 1) : 0n))
  const intermediate = encryptRound(add(stir(seed, low, high), low))
  const roundKeys: bigint[][] = []
  let data = words
  for (let round = 0, shift = 0n; round <= rounds; data = [...data.slice(1), data[0] as bigint]) {
    for (let part = 0; part < words.length && round <= rounds; part += columns, round += 2, shift++) {
      const modifier = add(
        intermediate,
        low.map(() => 0x0001_0001_0001_0001n << shift),
      )
      const even = add(stir(data.slice(part, part + columns), modifier, modifier), modifier)
      roundKeys.push(even)
      if (round < rounds) roundKeys.push(turn(even))
    }
  }
  writeWords(area, 0, [blockBits / 8, rounds])
  writeLongs(area, 8, roundKeys.flat())
}

export const kalyna: BlockCipherSpec = {
  name: 'kalyna',
  sizes: [
    { blockBits: 128, keyBits: [128, 256] },
    { blockBits: 256, keyBits: [256, 512] },
    { blockBits: 512, keyBits: [512] },
  ],
  tweakBytes: 0,
  // Header, 19 round keys, and two blocks for decryption to work in.
  expandedBytes: 8 + 21 * 64,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: makeTables,
  expandKey,
}
