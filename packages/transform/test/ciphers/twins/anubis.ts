import { gf, at } from './twin.ts'
import type { Twin } from './twin.ts'

const times = gf(0x11d)

const P = [0x3, 0xf, 0xe, 0x0, 0x5, 0x4, 0xb, 0xc, 0xd, 0xa, 0x9, 0x6, 0x7, 0x8, 0x2, 0x1]
const Q = [0x9, 0xe, 0x5, 0x6, 0xa, 0x2, 0x3, 0xc, 0xf, 0x0, 0x4, 0xd, 0x7, 0xb, 0x1, 0x8]

/** Bits 2 and 3 of the byte change places with bits 4 and 5. */
const cross = (x: number): number => (x & 0b1100_0011) | ((x & 0b0000_1100) << 2) | ((x & 0b0011_0000) >> 2)
const layer = (x: number, high: readonly number[], low: readonly number[]): number =>
  (at(high, x >> 4) << 4) | at(low, x & 15)
const box = Array.from({ length: 256 }, (_, x) => layer(cross(layer(cross(layer(x, P, Q)), Q, P)), P, Q))

type Matrix = readonly (readonly number[])[]

const product = (a: Matrix, b: Matrix): number[][] =>
  a.map(row =>
    Array.from({ length: 4 }, (_, j) => row.reduce((sum, x, k) => sum ^ times(x, at(b[k] as readonly number[], j)), 0)),
  )
const transpose = (a: Matrix): number[][] => [0, 1, 2, 3].map(j => a.map(row => at(row, j)))
const gamma = (a: Matrix): number[][] => a.map(row => row.map(x => at(box, x)))
const sigma = (a: Matrix, key: Matrix): number[][] =>
  a.map((row, i) => row.map((x, j) => x ^ at(key[i] as readonly number[], j)))

const H: Matrix = [
  [1, 2, 4, 6],
  [2, 1, 6, 4],
  [4, 6, 1, 2],
  [6, 4, 2, 1],
]

const rows = (bytes: Uint8Array): number[][] => {
  const result: number[][] = []
  for (let i = 0; i < bytes.length; i += 4) result.push([...bytes.subarray(i, i + 4)])
  return result
}

const power = (x: number, exponent: number): number => (exponent === 0 ? 1 : times(x, power(x, exponent - 1)))

/** The paper, section 3: gamma, tau, theta and sigma on 4 by 4 matrices. */
export const anubis: Twin = key => {
  let state = rows(key)
  const count = state.length
  const rounds = 8 + count
  // The Vandermonde matrix of key extraction.
  const V = [1, 2, 6, 8].map(x => Array.from({ length: count }, (_, i) => power(x, i)))
  const keys = Array.from({ length: rounds + 1 }, (_, r) => {
    const chosen = transpose(product(V, gamma(state)))
    const shifted = gamma(state).map((_, i, all) =>
      [0, 1, 2, 3].map(j => at(all[(i - j + count) % count] as number[], j)),
    )
    const next = product(shifted, H)
    next[0] = (next[0] as number[]).map((x, j) => x ^ at(box, 4 * r + j))
    state = next
    return chosen
  })
  return block => {
    let a = sigma(rows(block), keys[0] as Matrix)
    for (let r = 1; r < rounds; r++) a = sigma(product(transpose(gamma(a)), H), keys[r] as Matrix)
    return Uint8Array.from(sigma(transpose(gamma(a)), keys[rounds] as Matrix).flat())
  }
}
