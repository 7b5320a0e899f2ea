// Anubis, tweaked (Barreto, Rijmen, "The Anubis Block Cipher", revised 2001), on four blocks at once, which hide each
// other's latency. A vector is a block. The S-box is made of look-ups of four bits, sixteen bytes an instruction, as it was
// designed (figure 1), so no address depends on key or data.
import { ctrOver } from './shared/ctr'

// Six tables of sixteen bytes, for the high and the low bits of the S-box's three layers: see src/ciphers/anubis.ts.
const T: usize = memory.data(96, 16)

// The expanded key: rounds (u32, padded to 16 bytes), then the round keys; those for decryption in a second part.
const PART_BYTES: usize = 320

export function tables(): usize {
  return T
}

// @ts-ignore: decorator
@inline
function layer(x: v128, high: v128, low: v128): v128 {
  return v128.xor(
    i8x16.swizzle(high, v128.and(i32x4.shr_u(x, 4), i8x16.splat(15))),
    i8x16.swizzle(low, v128.and(x, i8x16.splat(15))),
  )
}

// @ts-ignore: decorator
@inline
function substitute(x: v128, h1: v128, l1: v128, h2: v128, l2: v128, h3: v128, l3: v128): v128 {
  return layer(layer(layer(x, h1, l1), h2, l2), h3, l3)
}

/** Every byte times x, modulo x^8 + x^4 + x^3 + x^2 + 1. */
// @ts-ignore: decorator
@inline
function twice(bytes: v128): v128 {
  return v128.xor(i8x16.add(bytes, bytes), v128.and(i8x16.lt_s(bytes, i8x16.splat(0)), i8x16.splat(0x1d)))
}

// @ts-ignore: decorator
@inline
function transpose(x: v128): v128 {
  return i8x16.swizzle(x, i8x16(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15))
}

/** Transposition, then diffusion: a byte is itself, 2, 4 and 6 times those whose place in the row differs by 1, 2 and 3. */
// @ts-ignore: decorator
@inline
function diffuse(x: v128): v128 {
  const two = twice(x)
  const four = twice(two)
  return v128.xor(
    v128.xor(transpose(x), i8x16.swizzle(two, i8x16(4, 0, 12, 8, 5, 1, 13, 9, 6, 2, 14, 10, 7, 3, 15, 11))),
    v128.xor(
      i8x16.swizzle(four, i8x16(8, 12, 0, 4, 9, 13, 1, 5, 10, 14, 2, 6, 11, 15, 3, 7)),
      i8x16.swizzle(v128.xor(two, four), i8x16(12, 8, 4, 0, 13, 9, 5, 1, 14, 10, 6, 2, 15, 11, 7, 3)),
    ),
  )
}

/** Up to four blocks, the last one `last` bytes from the first; it also stands in for those missing. */
function encryptFour(key: usize, source: usize, target: usize, last: usize): void {
  const h1 = v128.load(T)
  const l1 = v128.load(T, 16)
  const h2 = v128.load(T, 32)
  const l2 = v128.load(T, 48)
  const h3 = v128.load(T, 64)
  const l3 = v128.load(T, 80)
  let at = key + 16
  const end = at + (load<u32>(key) << 4)
  let k = v128.load(at)
  let a = v128.xor(v128.load(source), k)
  let b = v128.xor(v128.load(source + min(16, last)), k)
  let c = v128.xor(v128.load(source + min(32, last)), k)
  let d = v128.xor(v128.load(source + min(48, last)), k)
  for (at += 16; at < end; at += 16) {
    k = v128.load(at)
    a = v128.xor(diffuse(substitute(a, h1, l1, h2, l2, h3, l3)), k)
    b = v128.xor(diffuse(substitute(b, h1, l1, h2, l2, h3, l3)), k)
    c = v128.xor(diffuse(substitute(c, h1, l1, h2, l2, h3, l3)), k)
    d = v128.xor(diffuse(substitute(d, h1, l1, h2, l2, h3, l3)), k)
  }
  k = v128.load(end)
  v128.store(target, v128.xor(transpose(substitute(a, h1, l1, h2, l2, h3, l3)), k))
  v128.store(target + min(16, last), v128.xor(transpose(substitute(b, h1, l1, h2, l2, h3, l3)), k))
  v128.store(target + min(32, last), v128.xor(transpose(substitute(c, h1, l1, h2, l2, h3, l3)), k))
  v128.store(target + min(48, last), v128.xor(transpose(substitute(d, h1, l1, h2, l2, h3, l3)), k))
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 4; blocks -= 4, source += 64, target += 64) encryptFour(key, source, target, 48)
  if (blocks > 0) encryptFour(key, source, target, (blocks - 1) << 4)
}

/** All layers undo themselves: the same with the inverse round keys. */
export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  encrypt(key + PART_BYTES, source, target, blocks)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
