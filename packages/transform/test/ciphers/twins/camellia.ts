import { CAMELLIA_SBOX1_HEX } from '../../../src/ciphers/camellia.ts'
import { at } from './twin.ts'
import type { Twin } from './twin.ts'

const S1 = [...Buffer.from(CAMELLIA_SBOX1_HEX, 'hex')]
const rotl8 = (x: number, by: number): number => ((x << by) & 255) | (x >> (8 - by))
const s = (box: number, x: number): number => {
  if (box === 1) return at(S1, x)
  if (box === 2) return rotl8(at(S1, x), 1)
  if (box === 3) return rotl8(at(S1, x), 7)
  return at(S1, rotl8(x, 1))
}

const M32 = 0xffff_ffffn
const M64 = 0xffff_ffff_ffff_ffffn
const M128 = (1n << 128n) - 1n

/** RFC 3713 section 2.4.1. */
const F = (x: bigint, k: bigint): bigint => {
  const hex = (x ^ k).toString(16).padStart(16, '0')
  const t = [1, 2, 3, 4, 2, 3, 4, 1].map((box, i) => s(box, Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)))
  const [t1, t2, t3, t4, t5, t6, t7, t8] = t as [number, number, number, number, number, number, number, number]
  const y = [
    t1 ^ t3 ^ t4 ^ t6 ^ t7 ^ t8,
    t1 ^ t2 ^ t4 ^ t5 ^ t7 ^ t8,
    t1 ^ t2 ^ t3 ^ t5 ^ t6 ^ t8,
    t2 ^ t3 ^ t4 ^ t5 ^ t6 ^ t7,
    t1 ^ t2 ^ t6 ^ t7 ^ t8,
    t2 ^ t3 ^ t5 ^ t7 ^ t8,
    t3 ^ t4 ^ t5 ^ t6 ^ t8,
    t1 ^ t4 ^ t5 ^ t6 ^ t7,
  ]
  return BigInt(`0x${Buffer.from(y).toString('hex')}`)
}

const rotl1 = (x: bigint): bigint => ((x << 1n) & M32) | (x >> 31n)
const FL = (x: bigint, k: bigint): bigint => {
  const x2 = (x & M32) ^ rotl1((x >> 32n) & (k >> 32n))
  return (((x >> 32n) ^ (x2 | (k & M32))) << 32n) | x2
}
const FLINV = (y: bigint, k: bigint): bigint => {
  const y1 = (y >> 32n) ^ ((y & M32) | (k & M32))
  return (y1 << 32n) | ((y & M32) ^ rotl1(y1 & (k >> 32n)))
}

const SIGMA = [
  0xa09e667f3bcc908bn,
  0xb67ae8584caa73b2n,
  0xc6ef372fe94f82ben,
  0x54ff53a5f1d36f1cn,
  0x10e527fade682d1dn,
  0xb05688c2b3e6c1fdn,
]

/** RFC 3713 sections 2.2 and 2.3. */
export const camellia: Twin = key => {
  const integer = BigInt(`0x${Buffer.from(key).toString('hex')}`)
  let KL = integer
  let KR = 0n
  if (key.length === 24) {
    KL = integer >> 64n
    KR = ((integer & M64) << 64n) | (~integer & M64)
  } else if (key.length === 32) {
    KL = integer >> 128n
    KR = integer & M128
  }
  let D1 = (KL ^ KR) >> 64n
  let D2 = (KL ^ KR) & M64
  const feistel = (i: number): void => {
    D2 ^= F(D1, SIGMA[i] as bigint)
    D1 ^= F(D2, SIGMA[i + 1] as bigint)
  }
  feistel(0)
  D1 ^= KL >> 64n
  D2 ^= KL & M64
  feistel(2)
  const KA = (D1 << 64n) | D2
  D1 = (KA ^ KR) >> 64n
  D2 = (KA ^ KR) & M64
  feistel(4)
  const KB = (D1 << 64n) | D2
  const half = (K: bigint, by: number, isLow: boolean): bigint => {
    const turned = ((K << BigInt(by)) | (K >> BigInt(128 - by))) & M128
    return isLow ? turned & M64 : turned >> 64n
  }
  const both = (K: bigint, by: number): bigint[] => [half(K, by, false), half(K, by, true)]
  const isShort = key.length === 16
  const k = isShort
    ? [
        both(KA, 0),
        both(KL, 15),
        both(KA, 15),
        both(KL, 45),
        [half(KA, 45, false), half(KL, 60, true)],
        both(KA, 60),
        both(KL, 94),
        both(KA, 94),
        both(KL, 111),
      ].flat()
    : [
        both(KB, 0),
        both(KR, 15),
        both(KA, 15),
        both(KB, 30),
        both(KL, 45),
        both(KA, 45),
        both(KR, 60),
        both(KB, 60),
        both(KL, 77),
        both(KR, 94),
        both(KA, 94),
        both(KL, 111),
      ].flat()
  const ke = isShort ? [both(KA, 30), both(KL, 77)].flat() : [both(KR, 30), both(KL, 60), both(KA, 77)].flat()
  const kw = [both(KL, 0), isShort ? both(KA, 111) : both(KB, 111)].flat()
  return block => {
    const M = BigInt(`0x${Buffer.from(block).toString('hex')}`)
    let left = (M >> 64n) ^ (kw[0] as bigint)
    let right = (M & M64) ^ (kw[1] as bigint)
    for (let i = 0; i < k.length; i += 2) {
      if (i > 0 && i % 6 === 0) {
        left = FL(left, ke[i / 3 - 2] as bigint)
        right = FLINV(right, ke[i / 3 - 1] as bigint)
      }
      right ^= F(left, k[i] as bigint)
      left ^= F(right, k[i + 1] as bigint)
    }
    right ^= kw[2] as bigint
    left ^= kw[3] as bigint
    return Uint8Array.from(Buffer.from(((right << 64n) | left).toString(16).padStart(32, '0'), 'hex'))
  }
}
