// SM4 (GB/T 32907-2016) by tables of S-box and linear transformation. Words are big-endian. Four rounds bring every word
// back to its place. Four blocks take turns, since a round waits for the one before it.
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

/** Up to four blocks, the last one `last` bytes from the first; it also stands in for those missing. */
function encryptFour(key: usize, source: usize, target: usize, last: usize): void {
  const x = loadReversed(source)
  let x0: u32 = i32x4.extract_lane(x, 0)
  let x1: u32 = i32x4.extract_lane(x, 1)
  let x2: u32 = i32x4.extract_lane(x, 2)
  let x3: u32 = i32x4.extract_lane(x, 3)
  const y = loadReversed(source + min(16, last))
  let y0: u32 = i32x4.extract_lane(y, 0)
  let y1: u32 = i32x4.extract_lane(y, 1)
  let y2: u32 = i32x4.extract_lane(y, 2)
  let y3: u32 = i32x4.extract_lane(y, 3)
  const z = loadReversed(source + min(32, last))
  let z0: u32 = i32x4.extract_lane(z, 0)
  let z1: u32 = i32x4.extract_lane(z, 1)
  let z2: u32 = i32x4.extract_lane(z, 2)
  let z3: u32 = i32x4.extract_lane(z, 3)
  const w = loadReversed(source + min(48, last))
  let w0: u32 = i32x4.extract_lane(w, 0)
  let w1: u32 = i32x4.extract_lane(w, 1)
  let w2: u32 = i32x4.extract_lane(w, 2)
  let w3: u32 = i32x4.extract_lane(w, 3)
  const end = key + 128
  for (let at = key; at < end; at += 16) {
    let k = load<u32>(at)
    x0 ^= t(x1 ^ x2 ^ x3 ^ k)
    y0 ^= t(y1 ^ y2 ^ y3 ^ k)
    z0 ^= t(z1 ^ z2 ^ z3 ^ k)
    w0 ^= t(w1 ^ w2 ^ w3 ^ k)
    k = load<u32>(at, 4)
    x1 ^= t(x2 ^ x3 ^ x0 ^ k)
    y1 ^= t(y2 ^ y3 ^ y0 ^ k)
    z1 ^= t(z2 ^ z3 ^ z0 ^ k)
    w1 ^= t(w2 ^ w3 ^ w0 ^ k)
    k = load<u32>(at, 8)
    x2 ^= t(x3 ^ x0 ^ x1 ^ k)
    y2 ^= t(y3 ^ y0 ^ y1 ^ k)
    z2 ^= t(z3 ^ z0 ^ z1 ^ k)
    w2 ^= t(w3 ^ w0 ^ w1 ^ k)
    k = load<u32>(at, 12)
    x3 ^= t(x0 ^ x1 ^ x2 ^ k)
    y3 ^= t(y0 ^ y1 ^ y2 ^ k)
    z3 ^= t(z0 ^ z1 ^ z2 ^ k)
    w3 ^= t(w0 ^ w1 ^ w2 ^ k)
  }
  storeReversed(target, x3, x2, x1, x0)
  storeReversed(target + min(16, last), y3, y2, y1, y0)
  storeReversed(target + min(32, last), z3, z2, z1, z0)
  storeReversed(target + min(48, last), w3, w2, w1, w0)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 4; blocks -= 4, source += 64, target += 64) encryptFour(key, source, target, 48)
  if (blocks > 0) encryptFour(key, source, target, (blocks - 1) << 4)
}

export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 4; blocks -= 4, source += 64, target += 64) encryptFour(key + DECRYPTION_KEYS, source, target, 48)
  if (blocks > 0) encryptFour(key + DECRYPTION_KEYS, source, target, (blocks - 1) << 4)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
