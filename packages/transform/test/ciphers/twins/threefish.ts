import { joinLongs, low64, rotl64, splitLongs, at } from './twin.ts'
import type { Twin } from './twin.ts'

/** The Skein paper, version 1.3, tables 3 and 4, by the number of words. */
const VARIANTS: Record<number, { rounds: number; permutation: number[]; rotations: number[][] }> = {
  4: {
    rounds: 72,
    permutation: [0, 3, 2, 1],
    rotations: [
      [14, 16],
      [52, 57],
      [23, 40],
      [5, 37],
      [25, 33],
      [46, 12],
      [58, 22],
      [32, 32],
    ],
  },
  8: {
    rounds: 72,
    permutation: [2, 1, 4, 7, 6, 5, 0, 3],
    rotations: [
      [46, 36, 19, 37],
      [33, 27, 14, 42],
      [17, 49, 36, 39],
      [44, 9, 54, 56],
      [39, 30, 34, 24],
      [13, 50, 10, 17],
      [25, 29, 39, 43],
      [8, 35, 56, 22],
    ],
  },
  16: {
    rounds: 80,
    permutation: [0, 9, 2, 13, 6, 11, 4, 15, 10, 7, 12, 3, 14, 5, 8, 1],
    rotations: [
      [24, 13, 8, 47, 8, 17, 22, 37],
      [38, 19, 10, 55, 49, 18, 23, 52],
      [33, 4, 51, 13, 34, 41, 59, 17],
      [5, 20, 48, 41, 47, 28, 16, 25],
      [41, 9, 37, 31, 12, 47, 44, 30],
      [16, 34, 56, 51, 4, 53, 42, 41],
      [31, 44, 47, 46, 19, 42, 44, 25],
      [9, 48, 35, 52, 23, 31, 37, 20],
    ],
  },
}

/** Section 3.3. */
export const threefish: Twin = (key, { tweak }) => {
  const k = splitLongs(key)
  const n = k.length
  const { rounds, permutation, rotations } = VARIANTS[n] as (typeof VARIANTS)[number]
  k.push(k.reduce((a, b) => a ^ b, 0x1bd11bdaa9fc1a22n))
  const t = splitLongs(tweak)
  t.push((t[0] as bigint) ^ (t[1] as bigint))
  const subkey = (s: number): bigint[] =>
    Array.from({ length: n }, (_, i) => {
      const word = k[(s + i) % (n + 1)] as bigint
      if (i === n - 3) return word + (t[s % 3] as bigint)
      if (i === n - 2) return word + (t[(s + 1) % 3] as bigint)
      return i === n - 1 ? word + BigInt(s) : word
    })
  const keys = Array.from({ length: rounds / 4 + 1 }, (_, s) => subkey(s))
  const add = (v: readonly bigint[], s: number): bigint[] =>
    v.map((x, i) => low64(x + ((keys[s] as bigint[])[i] as bigint)))
  return block => {
    let v = splitLongs(block)
    for (let d = 0; d < rounds; d++) {
      if (d % 4 === 0) v = add(v, d / 4)
      const f: bigint[] = []
      for (let j = 0; j < n / 2; j++) {
        const sum = low64((v[2 * j] as bigint) + (v[2 * j + 1] as bigint))
        f.push(sum, rotl64(v[2 * j + 1] as bigint, at(rotations[d % 8] as number[], j)) ^ sum)
      }
      v = permutation.map(i => f[i] as bigint)
    }
    return joinLongs(add(v, rounds / 4))
  }
}
