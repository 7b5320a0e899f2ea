import { at, gf, join, rotl, split } from './twin.ts'
import type { Twin } from './twin.ts'

/** S(x) = (x A1 + C1)^-1 A2 + C2 with rows of bits: the affine maps as circulant products of bit strings. */
const times = gf(0x1f5)
const invert = (x: number): number =>
  x === 0 ? 0 : Array.from({ length: 256 }, (_, y) => y).findIndex(y => times(x, y) === 1)
const affine = (x: number): number => {
  let y = 0
  for (let i = 0; i < 8; i++) {
    let bit = (0xd3 >> i) & 1
    for (let j = 0; j < 8; j++) bit ^= (0xa7 >> ((j - i + 8) % 8)) & 1 & ((x >> j) & 1)
    y |= bit << i
  }
  return y
}
const box = Array.from({ length: 256 }, (_, x) => affine(invert(affine(x))))
const tau = (x: number): number => join([x], false).reduce((word, byte) => word * 256 + at(box, byte), 0)

/** GB/T 32907-2016, sections 6 and 7. */
export const sm4: Twin = key => {
  const FK = [0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc]
  const K = split(key, false).map((x, i) => (x ^ at(FK, i)) >>> 0)
  for (let i = 0; i < 32; i++) {
    const CK = [0, 1, 2, 3].reduce((word, j) => word * 256 + (((4 * i + j) * 7) % 256), 0)
    const B = tau((at(K, i + 1) ^ at(K, i + 2) ^ at(K, i + 3) ^ CK) >>> 0)
    K.push((at(K, i) ^ B ^ rotl(B, 13) ^ rotl(B, 23)) >>> 0)
  }
  return block => {
    const X = split(block, false)
    for (let i = 0; i < 32; i++) {
      const B = tau((at(X, i + 1) ^ at(X, i + 2) ^ at(X, i + 3) ^ at(K, i + 4)) >>> 0)
      X.push((at(X, i) ^ B ^ rotl(B, 2) ^ rotl(B, 10) ^ rotl(B, 18) ^ rotl(B, 24)) >>> 0)
    }
    return join(X.slice(-4).toReversed(), false)
  }
}
