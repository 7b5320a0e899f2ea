// Speck128 (Beaulieu et al., "The Simon and Speck Families of Lightweight Block Ciphers", section 4) on eight blocks at
// a time: four vectors of two high words, four of two low words. Words are little-endian, the low one first, as in the
// "Simon and Speck Implementation Guide".
import { ctrOver } from './shared/ctr'

// The expanded key: rounds (u32, padded to 8 bytes), then the round keys (u64 each).
const ROUND_KEYS: usize = 8

export function tables(): usize {
  return 0
}

// @ts-ignore: decorator
@inline
function rotateRight8(value: v128): v128 {
  return i8x16.swizzle(value, i8x16(1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8))
}

// @ts-ignore: decorator
@inline
function rotateLeft3(value: v128): v128 {
  return v128.or(i64x2.shl(value, 3), i64x2.shr_u(value, 61))
}

// @ts-ignore: decorator
@inline
function low(pair: usize): v128 {
  return i64x2.shuffle(v128.load(pair), v128.load(pair, 16), 0, 2)
}

// @ts-ignore: decorator
@inline
function high(pair: usize): v128 {
  return i64x2.shuffle(v128.load(pair), v128.load(pair, 16), 1, 3)
}

// @ts-ignore: decorator
@inline
function save(pair: usize, x: v128, y: v128): void {
  v128.store(pair, i64x2.shuffle(y, x, 0, 2))
  v128.store(pair, i64x2.shuffle(y, x, 1, 3), 16)
}

function encryptEight(key: usize, source: usize, target: usize): void {
  let y0 = low(source)
  let x0 = high(source)
  let y1 = low(source + 32)
  let x1 = high(source + 32)
  let y2 = low(source + 64)
  let x2 = high(source + 64)
  let y3 = low(source + 96)
  let x3 = high(source + 96)
  const end = key + ROUND_KEYS + (load<u32>(key) << 3)
  for (let at = key + ROUND_KEYS; at < end; at += 8) {
    const k = v128.load64_splat(at)
    x0 = v128.xor(i64x2.add(rotateRight8(x0), y0), k)
    x1 = v128.xor(i64x2.add(rotateRight8(x1), y1), k)
    x2 = v128.xor(i64x2.add(rotateRight8(x2), y2), k)
    x3 = v128.xor(i64x2.add(rotateRight8(x3), y3), k)
    y0 = v128.xor(rotateLeft3(y0), x0)
    y1 = v128.xor(rotateLeft3(y1), x1)
    y2 = v128.xor(rotateLeft3(y2), x2)
    y3 = v128.xor(rotateLeft3(y3), x3)
  }
  save(target, x0, y0)
  save(target + 32, x1, y1)
  save(target + 64, x2, y2)
  save(target + 96, x3, y3)
}

function encryptOne(key: usize, source: usize, target: usize): void {
  let y = load<u64>(source)
  let x = load<u64>(source, 8)
  const end = key + ROUND_KEYS + (load<u32>(key) << 3)
  for (let at = key + ROUND_KEYS; at < end; at += 8) {
    x = (rotr(x, 8) + y) ^ load<u64>(at)
    y = rotl(y, 3) ^ x
  }
  store<u64>(target, y)
  store<u64>(target, x, 8)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks >= 8; blocks -= 8, source += 128, target += 128) encryptEight(key, source, target)
  for (; blocks > 0; blocks--, source += 16, target += 16) encryptOne(key, source, target)
}

export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  const start = key + ROUND_KEYS
  for (; blocks > 0; blocks--, source += 16, target += 16) {
    let y = load<u64>(source)
    let x = load<u64>(source, 8)
    for (let at = start + (load<u32>(key) << 3); at > start; at -= 8) {
      y = rotr(y ^ x, 3)
      x = rotl((x ^ load<u64>(at - 8)) - y, 8)
    }
    store<u64>(target, y)
    store<u64>(target, x, 8)
  }
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
