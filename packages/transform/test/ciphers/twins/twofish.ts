import { at, gf, join, rotl, rotr, split } from './twin.ts'
import type { Twin } from './twin.ts'

const mds = gf(0x169)
const rs = gf(0x14d)

/** Section 4.3.5. */
const q = (t: readonly string[]): number[] =>
  Array.from({ length: 256 }, (_, x) => {
    const T = t.map(row => Array.from(row).map(digit => Number.parseInt(digit, 16)))
    const ror4 = (v: number): number => ((v >> 1) | (v << 3)) & 15
    const [a0, b0] = [Math.floor(x / 16), x % 16]
    const [a1, b1] = [a0 ^ b0, a0 ^ ror4(b0) ^ ((8 * a0) % 16)]
    const [a2, b2] = [at(T[0] as number[], a1), at(T[1] as number[], b1)]
    const [a3, b3] = [a2 ^ b2, a2 ^ ror4(b2) ^ ((8 * a2) % 16)]
    return 16 * at(T[3] as number[], b3) + at(T[2] as number[], a3)
  })
const q0 = q(['817D6F320B59ECA4', 'ECB81235F4A6709D', 'BA5E6D90C8F32471', 'D7F4126E9B3085CA'])
const q1 = q(['28BDF76E31940AC5', '1E2B4C376DA5F908', '4C75169A0ED82B3F', 'B951C3DE647F208A'])

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

/** Section 4.3.2: L is a list of words. */
const h = (X: number, L: readonly number[]): number => {
  let y = [...join([X], true)]
  const through = (boxes: readonly number[][]): void => void (y = y.map((byte, i) => at(boxes[i] as number[], byte)))
  const key = (word: number): void => void (y = y.map((byte, i) => byte ^ at(join([word], true), i)))
  if (L.length === 4) {
    through([q1, q0, q0, q1])
    key(at(L, 3))
  }
  if (L.length >= 3) {
    through([q1, q1, q0, q0])
    key(at(L, 2))
  }
  through([q0, q1, q0, q1])
  key(at(L, 1))
  through([q0, q0, q1, q1])
  key(at(L, 0))
  through([q1, q0, q1, q0])
  const z = MDS.map(row => row.reduce((sum, factor, i) => sum ^ mds(factor, at(y, i)), 0))
  return at(split(Uint8Array.from(z), true), 0)
}

/** Sections 4.1 to 4.3. */
export const twofish: Twin = key => {
  const M = split(key, true)
  const even = M.filter((_, i) => i % 2 === 0)
  const odd = M.filter((_, i) => i % 2 === 1)
  const S: number[] = []
  for (let i = 0; i < key.length; i += 8) {
    const s = RS.map(row => row.reduce((sum, factor, j) => sum ^ rs(factor, at(key, i + j)), 0))
    S.unshift(at(split(Uint8Array.from(s), true), 0))
  }
  const K: number[] = []
  for (let i = 0; i < 20; i++) {
    const A = h(0x02020202 * i, even)
    const B = rotl(h(0x02020202 * i + 0x01010101, odd), 8)
    K.push((A + B) >>> 0, rotl((A + 2 * B) >>> 0, 9))
  }
  return block => {
    let R = split(block, true).map((x, i) => (x ^ at(K, i)) >>> 0)
    for (let r = 0; r < 16; r++) {
      const [a, b, c, d] = R as [number, number, number, number]
      const T0 = h(a, S)
      const T1 = h(rotl(b, 8), S)
      const F0 = T0 + T1 + at(K, 2 * r + 8)
      const F1 = T0 + 2 * T1 + at(K, 2 * r + 9)
      R = [rotr((c ^ F0) >>> 0, 1), (rotl(d, 1) ^ F1) >>> 0, a, b]
    }
    return join(
      [2, 3, 0, 1].map((from, i) => (at(R, from) ^ at(K, 4 + i)) >>> 0),
      true,
    )
  }
}
