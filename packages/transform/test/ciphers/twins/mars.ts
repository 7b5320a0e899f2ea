import { marsSbox } from '../../../src/ciphers/mars.ts'
import { at, join, rotl, rotr, split } from './twin.ts'
import type { Twin } from './twin.ts'

const S = (i: number): number => at(marsSbox(), i & 511)
const S0 = (x: number): number => S(x & 255)
const S1 = (x: number): number => S(256 + (x & 255))
const word = (x: number): number => x >>> 0

/** Section 3.2. */
const expand = (key: Uint8Array): number[] => {
  const n = key.length / 4
  const T = [...split(key, true), n, ...Array.from({ length: 14 - n }, () => 0)]
  const K: number[] = []
  for (let j = 0; j < 4; j++) {
    for (let i = 0; i < 15; i++)
      T[i] = word(at(T, i) ^ rotl(at(T, (i + 8) % 15) ^ at(T, (i + 13) % 15), 3) ^ (4 * i + j))
    for (let pass = 0; pass < 4; pass++)
      for (let i = 0; i < 15; i++) T[i] = rotl(word(at(T, i) + S(at(T, (i + 14) % 15))), 9)
    for (let i = 0; i < 10; i++) K.push(at(T, (4 * i) % 15))
  }
  for (let i = 5; i <= 35; i += 2) {
    const w = word(at(K, i) | 3)
    const digits = w.toString(2).padStart(32, '0')
    // Inside of runs of ten and more, without the ends; the lowest two bits and the highest one never.
    const mask = digits
      .replace(/0{10,}|1{10,}/g, run => `x${'m'.repeat(run.length - 2)}x`)
      .replace(/[^m]/g, '0')
      .replaceAll('m', '1')
    const M = Number.parseInt(mask, 2) & 0x7fff_fffc
    K[i] = word(w ^ (rotl(S(265 + (at(K, i) & 3)), at(K, i - 1) & 31) & M))
  }
  return K
}

/** Section 2: forward mixing, keyed core, backward mixing. */
export const mars: Twin = key => {
  const K = expand(key)
  return block => {
    let D = split(block, true).map((x, i) => word(x + at(K, i)))
    const step = (change: (a: number, b: number, c: number, d: number) => [number, number, number, number]): void => {
      const [a, b, c, d] = change(...(D as [number, number, number, number]))
      D = [b, c, d, a].map(word)
    }
    for (let i = 0; i < 8; i++)
      step((a, b, c, d) => {
        const B = word((b ^ S0(a)) + S1(a >>> 8))
        const C = c + S0(a >>> 16)
        const E = word(d ^ S1(a >>> 24))
        const A = rotr(a, 24) + (i % 4 === 0 ? E : 0) + (i % 4 === 1 ? B : 0)
        return [A, B, C, E]
      })
    for (let i = 0; i < 16; i++)
      step((a, b, c, d) => {
        let M = word(a + at(K, 2 * i + 4))
        let R = Math.imul(rotl(a, 13), at(K, 2 * i + 5))
        let L = S(M)
        R = rotl(R, 5)
        M = rotl(M, R & 31)
        L ^= R
        R = rotl(R, 5)
        L = rotl(L ^ R, R & 31)
        return i < 8 ? [rotl(a, 13), b + L, c + M, d ^ R] : [rotl(a, 13), b ^ R, c + M, d + L]
      })
    for (let i = 0; i < 8; i++)
      step((a, b, c, d) => {
        const A = word(a - (i % 4 === 2 ? d : 0) - (i % 4 === 3 ? b : 0))
        return [rotl(A, 24), b ^ S1(A), c - S0(A >>> 24), word(d - S1(A >>> 16)) ^ S0(A >>> 8)]
      })
    return join(
      D.map((x, i) => word(x - at(K, 36 + i))),
      true,
    )
  }
}
