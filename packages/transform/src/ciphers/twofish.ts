/**
 * Twofish.
 *
 * @see Schneier, Kelsey, Whiting, Wagner, Hall, Ferguson, "Twofish: A 128-Bit Block Cipher", 1998
 * @module
 */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { multiply, tabulate } from './galois.ts'
import { wasmBase64 } from './twofish.wasm.ts'
import { at, rotateLeft32, writeWords } from './words.ts'

/** Section 4.3.2, the polynomial v(x) of the MDS matrix, and section 4.3, w(x) of the RS matrix. */
const MDS_POLYNOMIAL = 0x169
const RS_POLYNOMIAL = 0x14d

/** t0 to t3 of the permutations q0 and q1, a hexadecimal digit for each input: section 4.3.5. */
const Q_TABLES = [
  ['817d6f320b59eca4', 'ecb81235f4a6709d', 'ba5e6d90c8f32471', 'd7f4126e9b3085ca'],
  ['28bdf76e31940ac5', '1e2b4c376da5f908', '4c75169a0ed82b3f', 'b951c3de647f208a'],
] as const

const MDS = [
  [0x01, 0xef, 0x5b, 0x5b],
  [0x5b, 0xef, 0xef, 0x01],
  [0xef, 0x5b, 0x01, 0xef],
  [0xef, 0x01, 0xef, 0x5b],
]

const RS = [
  [0x01, 0xa4, 0x55, 0x87, 0x5a, 0x58, 0xdb, 0x9e],
  [0xa4, 0x56, 0x82, 0xf3, 0x1e, 0xc6, 0x68, 0xe5],
  [0x02, 0xa1, 0xfc, 0xc1, 0x47, 0xae, 0x3d, 0x19],
  [0xa4, 0x55, 0x87, 0x5a, 0x58, 0xdb, 0x9e, 0x03],
]

const makeQ = (tables: readonly string[]): Uint8Array =>
  tabulate(x => {
    const look = (table: number, nibble: number): number =>
      Number.parseInt((tables[table] as string)[nibble] as string, 16)
    const turn = (nibble: number): number => (nibble >> 1) | ((nibble & 1) << 3)
    let a = x >> 4
    let b = x & 15
    for (const table of [0, 2]) {
      const mixedA = a ^ b
      const mixedB = a ^ turn(b) ^ ((8 * a) & 15)
      a = look(table, mixedA)
      b = look(table + 1, mixedB)
    }
    return 16 * b + a
  })

const makeConstants = (): { q: readonly Uint8Array[]; mds: readonly Uint32Array[] } => ({
  q: Q_TABLES.map(makeQ),
  // The four columns of the MDS matrix times every byte, as little-endian words.
  mds: [0, 1, 2, 3].map(column =>
    Uint32Array.from({ length: 256 }, (_, y) =>
      MDS.reduce((word, row, i) => word | (multiply(y, at(row, column), MDS_POLYNOMIAL) << (8 * i)), 0),
    ),
  ),
})

let constants: ReturnType<typeof makeConstants> | undefined

/** Which of q0 and q1 each byte of h goes through, from the innermost step (which only 256-bit keys have) out: figure 2. */
const STEPS = [
  [1, 0, 0, 1],
  [1, 1, 0, 0],
  [0, 1, 0, 1],
  [0, 0, 1, 1],
  [1, 0, 1, 0],
]

/** Byte `place` of the inside of h, before the MDS matrix, for the key words `list` (bytes; the last word goes in first). */
const hByte = (place: number, x: number, list: readonly Bytes[]): number => {
  const { q } = (constants ??= makeConstants())
  let y = x
  for (let step = 4 - list.length; step < 5; step++) {
    y = at(q[at(STEPS[step] as number[], place)] as Uint8Array, y)
    if (step < 4) y ^= at(list[3 - step] as Bytes, place)
  }
  return y
}

/** h of a word whose four bytes are equal, which is all the key schedule needs. */
const h = (byte: number, list: readonly Bytes[]): number => {
  const { mds } = (constants ??= makeConstants())
  return mds.reduce((word, column, place) => word ^ at(column, hByte(place, byte, list)), 0)
}

/** Section 4.3: Me and Mo are the even and odd words of the key, S comes from the RS matrix, in reverse order. */
const expandKey = (key: Bytes, area: Bytes): void => {
  const { mds } = (constants ??= makeConstants())
  const even: Bytes[] = []
  const odd: Bytes[] = []
  const sbox: Bytes[] = []
  for (let i = 0; i < key.length; i += 8) {
    const eight = key.subarray(i, i + 8)
    even.push(eight.subarray(0, 4))
    odd.push(eight.subarray(4))
    sbox.unshift(
      Uint8Array.from(RS, row =>
        row.reduce((sum, factor, j) => sum ^ multiply(factor, at(eight, j), RS_POLYNOMIAL), 0),
      ),
    )
  }
  for (const [place, column] of mds.entries())
    writeWords(
      area,
      1024 * place,
      Array.from({ length: 256 }, (_, x) => at(column, hByte(place, x, sbox))),
    )
  const subkeys: number[] = []
  for (let i = 0; i < 20; i++) {
    const a = h(2 * i, even)
    const b = rotateLeft32(h(2 * i + 1, odd), 8)
    subkeys.push(a + b, rotateLeft32(a + 2 * b, 9))
  }
  writeWords(area, 4096, subkeys)
}

export const twofish: BlockCipherSpec = {
  name: 'twofish',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 4096 + 160,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  expandKey,
}
