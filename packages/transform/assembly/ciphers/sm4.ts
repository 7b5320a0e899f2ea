// SM4 (GB/T 32907-2016) on eight blocks at once. The S-box is an inversion in GF(2^8), done in GF((2^4)^2) by look-ups of
// four bits, sixteen bytes an instruction (Hamburg, "Accelerating AES with Vector Permute Instructions", section 3). So no
// address depends on key or data. A vector holds the same word of four blocks, every byte as the two coordinates in which
// the S-box begins: src/ciphers/sm4-nibbles.ts tells how, and makes the tables and the round keys to match.
import { ctrOver } from './shared/ctr'

// Ten tables of sixteen bytes: inversion; a over k; the S-box's last steps under the two maps that L is made of, each from
// both parts of the inverse; into the coordinates, by low and high bits; and back.
const T: usize = memory.data(160, 16)

// The expanded key: 32 round keys for encryption, then 32 for decryption.
const DECRYPTION_KEYS: usize = 128

export function tables(): usize {
  return T
}

// @ts-ignore: decorator
@inline
function low(bytes: v128): v128 {
  return v128.and(bytes, i8x16.splat(15))
}

// @ts-ignore: decorator
@inline
function high(bytes: v128): v128 {
  return v128.and(i32x4.shr_u(bytes, 4), i8x16.splat(15))
}

/** Every byte through a linear map, and words turned between big-endian and ours. */
// @ts-ignore: decorator
@inline
function convert(x: v128, lowTable: v128, highTable: v128): v128 {
  return i8x16.swizzle(
    v128.xor(i8x16.swizzle(lowTable, low(x)), i8x16.swizzle(highTable, high(x))),
    i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12),
  )
}

/** A word of four blocks, which stand at these distances. */
// @ts-ignore: decorator
@inline
function enter(at: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  let x = v128.load32_zero(at + a)
  x = v128.load32_lane(at + b, x, 1)
  x = v128.load32_lane(at + c, x, 2)
  x = v128.load32_lane(at + d, x, 3)
  return convert(x, v128.load(T, 96), v128.load(T, 112))
}

// @ts-ignore: decorator
@inline
function leave(x: v128, at: usize, a: usize, b: usize, c: usize, d: usize): void {
  const word = convert(x, v128.load(T, 128), v128.load(T, 144))
  v128.store32_lane(at + a, word, 0)
  v128.store32_lane(at + b, word, 1)
  v128.store32_lane(at + c, word, 2)
  v128.store32_lane(at + d, word, 3)
}

/** Substitution and L. A look-up beyond a table gives 0: division by zero is 0x80 and ends so. */
// @ts-ignore: decorator
@inline
function t(x: v128, inverse: v128, over: v128, p1: v128, p2: v128, q1: v128, q2: v128): v128 {
  const k = low(x)
  const i = high(x)
  const j = v128.xor(i, k)
  const ak = i8x16.swizzle(over, k)
  const first = v128.xor(i8x16.swizzle(inverse, v128.xor(i8x16.swizzle(inverse, i), ak)), j)
  const second = v128.xor(i8x16.swizzle(inverse, v128.xor(i8x16.swizzle(inverse, j), ak)), i)
  const p = v128.xor(i8x16.swizzle(p1, first), i8x16.swizzle(p2, second))
  const q = v128.xor(i8x16.swizzle(q1, first), i8x16.swizzle(q2, second))
  return v128.xor(
    v128.xor(p, i8x16.swizzle(q, i8x16(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14))),
    v128.xor(
      i8x16.swizzle(q, i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)),
      i8x16.swizzle(v128.xor(p, q), i8x16(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12)),
    ),
  )
}

/** Up to eight blocks, the last one `last` bytes from the first; it also stands in for those missing. */
function encryptEight(key: usize, source: usize, target: usize, last: usize): void {
  const b = min(16, last)
  const c = min(32, last)
  const d = min(48, last)
  const e = min(64, last)
  const f = min(80, last)
  const g = min(96, last)
  const h = min(112, last)
  let x0 = enter(source, 0, b, c, d)
  let x1 = enter(source + 4, 0, b, c, d)
  let x2 = enter(source + 8, 0, b, c, d)
  let x3 = enter(source + 12, 0, b, c, d)
  let y0 = enter(source, e, f, g, h)
  let y1 = enter(source + 4, e, f, g, h)
  let y2 = enter(source + 8, e, f, g, h)
  let y3 = enter(source + 12, e, f, g, h)
  const inverse = v128.load(T)
  const over = v128.load(T, 16)
  const p1 = v128.load(T, 32)
  const p2 = v128.load(T, 48)
  const q1 = v128.load(T, 64)
  const q2 = v128.load(T, 80)
  for (let at = key; at < key + 128; at += 16) {
    let k = v128.load32_splat(at)
    x0 = v128.xor(x0, t(v128.xor(v128.xor(x1, x2), v128.xor(x3, k)), inverse, over, p1, p2, q1, q2))
    y0 = v128.xor(y0, t(v128.xor(v128.xor(y1, y2), v128.xor(y3, k)), inverse, over, p1, p2, q1, q2))
    k = v128.load32_splat(at, 4)
    x1 = v128.xor(x1, t(v128.xor(v128.xor(x2, x3), v128.xor(x0, k)), inverse, over, p1, p2, q1, q2))
    y1 = v128.xor(y1, t(v128.xor(v128.xor(y2, y3), v128.xor(y0, k)), inverse, over, p1, p2, q1, q2))
    k = v128.load32_splat(at, 8)
    x2 = v128.xor(x2, t(v128.xor(v128.xor(x3, x0), v128.xor(x1, k)), inverse, over, p1, p2, q1, q2))
    y2 = v128.xor(y2, t(v128.xor(v128.xor(y3, y0), v128.xor(y1, k)), inverse, over, p1, p2, q1, q2))
    k = v128.load32_splat(at, 12)
    x3 = v128.xor(x3, t(v128.xor(v128.xor(x0, x1), v128.xor(x2, k)), inverse, over, p1, p2, q1, q2))
    y3 = v128.xor(y3, t(v128.xor(v128.xor(y0, y1), v128.xor(y2, k)), inverse, over, p1, p2, q1, q2))
  }
  leave(x3, target, 0, b, c, d)
  leave(x2, target + 4, 0, b, c, d)
  leave(x1, target + 8, 0, b, c, d)
  leave(x0, target + 12, 0, b, c, d)
  leave(y3, target, e, f, g, h)
  leave(y2, target + 4, e, f, g, h)
  leave(y1, target + 8, e, f, g, h)
  leave(y0, target + 12, e, f, g, h)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 8; blocks -= 8, source += 128, target += 128) encryptEight(key, source, target, 112)
  if (blocks > 0) encryptEight(key, source, target, (blocks - 1) << 4)
}

export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  encrypt(key + DECRYPTION_KEYS, source, target, blocks)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
