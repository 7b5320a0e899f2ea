import { at, join, rotl, split } from './twin.ts'
import type { Twin } from './twin.ts'

const S = [
  [3, 8, 15, 1, 10, 6, 5, 11, 14, 13, 4, 2, 7, 0, 9, 12],
  [15, 12, 2, 7, 9, 0, 5, 10, 1, 11, 14, 8, 6, 13, 3, 4],
  [8, 6, 7, 9, 3, 12, 10, 15, 13, 1, 14, 4, 0, 11, 5, 2],
  [0, 15, 11, 8, 12, 9, 6, 3, 13, 1, 2, 4, 10, 7, 5, 14],
  [1, 15, 8, 3, 12, 0, 11, 6, 2, 5, 4, 10, 9, 14, 7, 13],
  [15, 5, 2, 11, 4, 10, 9, 12, 0, 3, 14, 8, 13, 6, 7, 1],
  [7, 2, 12, 5, 8, 4, 6, 11, 14, 9, 1, 15, 13, 3, 10, 0],
  [1, 13, 15, 0, 14, 8, 2, 11, 7, 4, 12, 10, 9, 3, 5, 6],
]

/** A nibble at a time: bit i of the four words. */
const substitute = (box: number, words: readonly number[]): number[] => {
  const result = [0, 0, 0, 0]
  for (let i = 0; i < 32; i++) {
    let nibble = 0
    for (let j = 3; j >= 0; j--) nibble = 2 * nibble + ((at(words, j) >>> i) & 1)
    const image = at(S[box % 8] as number[], nibble)
    for (let j = 0; j < 4; j++) result[j] = (at(result, j) | (((image >> j) & 1) << i)) >>> 0
  }
  return result
}

/** The proposal, sections 3 and 4. */
export const serpent: Twin = key => {
  const padded = Uint8Array.from({ length: 32 }, (_, i) => (i < key.length ? at(key, i) : i === key.length ? 1 : 0))
  const w = split(padded, true)
  for (let i = 8; i < 140; i++)
    w.push(rotl(at(w, i - 8) ^ at(w, i - 5) ^ at(w, i - 3) ^ at(w, i - 1) ^ 0x9e3779b9 ^ (i - 8), 11))
  const keys = Array.from({ length: 33 }, (_, i) => substitute(3 - i + 64, w.slice(8 + 4 * i, 12 + 4 * i)))
  const mixKey = (x: readonly number[], round: number): number[] =>
    x.map((v, i) => (v ^ at(keys[round] as number[], i)) >>> 0)
  return block => {
    let x = split(block, true)
    for (let round = 0; round < 32; round++) {
      x = substitute(round, mixKey(x, round))
      if (round === 31) break
      let [a, b, c, d] = x as [number, number, number, number]
      a = rotl(a, 13)
      c = rotl(c, 3)
      b = rotl(b ^ a ^ c, 1)
      d = rotl(d ^ c ^ (a << 3), 7)
      a = rotl(a ^ b ^ d, 5)
      c = rotl(c ^ d ^ (b << 7), 22)
      x = [a, b, c, d]
    }
    return join(mixKey(x, 32), true)
  }
}
