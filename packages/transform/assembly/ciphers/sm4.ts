// SM4 (GB/T 32907-2016) by tables of S-box and linear transformation. Words are big-endian. Four rounds bring every word
// back to its place. Two blocks take turns, since a round waits for the one before it.
import { ctrOver } from './shared/ctr'
import { loadReversed, storeReversed } from './shared/words'

// Four tables of 256 words, for the bytes of a word from the lowest up: see src/ciphers/sm4.ts.
const T: usize = memory.data(4096, 16)

// The expanded key: 32 round keys for encryption, then the same backwards for decryption.
const DECRYPTION_KEYS: usize = 128

export function tables(): usize {
  return T
}

// @ts-ignore: decorator
@inline
function t(x: u32): u32 {
  return (
    load<u32>(T + ((x << 2) & 0x3fc)) ^
    load<u32>(T + ((x >> 6) & 0x3fc), 1024) ^
    load<u32>(T + ((x >> 14) & 0x3fc), 2048) ^
    load<u32>(T + ((x >> 22) & 0x3fc), 3072)
  )
}

/** Two blocks, `other` bytes apart. */
function encryptTwo(key: usize, source: usize, target: usize, other: usize): void {
  const x = loadReversed(source)
  let x0: u32 = i32x4.extract_lane(x, 0)
  let x1: u32 = i32x4.extract_lane(x, 1)
  let x2: u32 = i32x4.extract_lane(x, 2)
  let x3: u32 = i32x4.extract_lane(x, 3)
  const y = loadReversed(source + other)
  let y0: u32 = i32x4.extract_lane(y, 0)
  let y1: u32 = i32x4.extract_lane(y, 1)
  let y2: u32 = i32x4.extract_lane(y, 2)
  let y3: u32 = i32x4.extract_lane(y, 3)
  const end = key + 128
  for (let at = key; at < end; at += 16) {
    let k = load<u32>(at)
    x0 ^= t(x1 ^ x2 ^ x3 ^ k)
    y0 ^= t(y1 ^ y2 ^ y3 ^ k)
    k = load<u32>(at, 4)
    x1 ^= t(x2 ^ x3 ^ x0 ^ k)
    y1 ^= t(y2 ^ y3 ^ y0 ^ k)
    k = load<u32>(at, 8)
    x2 ^= t(x3 ^ x0 ^ x1 ^ k)
    y2 ^= t(y3 ^ y0 ^ y1 ^ k)
    k = load<u32>(at, 12)
    x3 ^= t(x0 ^ x1 ^ x2 ^ k)
    y3 ^= t(y0 ^ y1 ^ y2 ^ k)
  }
  storeReversed(target, x3, x2, x1, x0)
  storeReversed(target + other, y3, y2, y1, y0)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 1; blocks -= 2, source += 32, target += 32) encryptTwo(key, source, target, 16)
  if (blocks > 0) encryptTwo(key, source, target, 0)
}

export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 1; blocks -= 2, source += 32, target += 32) encryptTwo(key + DECRYPTION_KEYS, source, target, 16)
  if (blocks > 0) encryptTwo(key + DECRYPTION_KEYS, source, target, 0)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
