// CAST-256 (RFC 2612). Words are big-endian. A quad-round changes the four words C, B, A, D in turn, each from the one
// before, so nothing within a block can run beside anything else: two blocks take turns.
import { ctrOver } from './shared/ctr'
import { loadReversed, storeReversed } from './shared/words'

// S1 to S4, 256 words each: see src/ciphers/cast6.ts.
const S: usize = memory.data(4096, 16)

// The expanded key: 48 pairs of masking key and rotation key (u32 each), in the order of encryption.

export function tables(): usize {
  return S
}

// @ts-ignore: decorator
@inline
function s1(x: u32): u32 {
  return load<u32>((x >> 22) & 0x3fc, S)
}

// @ts-ignore: decorator
@inline
function s2(x: u32): u32 {
  return load<u32>((x >> 14) & 0x3fc, S + 1024)
}

// @ts-ignore: decorator
@inline
function s3(x: u32): u32 {
  return load<u32>((x >> 6) & 0x3fc, S + 2048)
}

// @ts-ignore: decorator
@inline
function s4(x: u32): u32 {
  return load<u32>((x << 2) & 0x3fc, S + 3072)
}

// The three round functions, section 2.2: how the key is mixed in and how the look-ups are combined.

// @ts-ignore: decorator
@inline
function f1(data: u32, mask: u32, turn: u32): u32 {
  const x = rotl<u32>(mask + data, turn)
  return ((s1(x) ^ s2(x)) - s3(x)) + s4(x)
}

// @ts-ignore: decorator
@inline
function f2(data: u32, mask: u32, turn: u32): u32 {
  const x = rotl<u32>(mask ^ data, turn)
  return ((s1(x) - s2(x)) + s3(x)) ^ s4(x)
}

// @ts-ignore: decorator
@inline
function f3(data: u32, mask: u32, turn: u32): u32 {
  const x = rotl<u32>(mask - data, turn)
  return ((s1(x) + s2(x)) ^ s3(x)) - s4(x)
}

/** Six forward quad-rounds, six backward ones. Two blocks, `other` bytes apart. */
function encryptTwo(key: usize, source: usize, target: usize, other: usize): void {
  const x = loadReversed(source)
  let xa: u32 = i32x4.extract_lane(x, 0)
  let xb: u32 = i32x4.extract_lane(x, 1)
  let xc: u32 = i32x4.extract_lane(x, 2)
  let xd: u32 = i32x4.extract_lane(x, 3)
  const y = loadReversed(source + other)
  let ya: u32 = i32x4.extract_lane(y, 0)
  let yb: u32 = i32x4.extract_lane(y, 1)
  let yc: u32 = i32x4.extract_lane(y, 2)
  let yd: u32 = i32x4.extract_lane(y, 3)
  let mask: u32
  let turn: u32
  let at = key
  for (; at < key + 192; at += 32) {
    mask = load<u32>(at, 0)
    turn = load<u32>(at, 4)
    xc ^= f1(xd, mask, turn)
    yc ^= f1(yd, mask, turn)
    mask = load<u32>(at, 8)
    turn = load<u32>(at, 12)
    xb ^= f2(xc, mask, turn)
    yb ^= f2(yc, mask, turn)
    mask = load<u32>(at, 16)
    turn = load<u32>(at, 20)
    xa ^= f3(xb, mask, turn)
    ya ^= f3(yb, mask, turn)
    mask = load<u32>(at, 24)
    turn = load<u32>(at, 28)
    xd ^= f1(xa, mask, turn)
    yd ^= f1(ya, mask, turn)
  }
  for (; at < key + 384; at += 32) {
    mask = load<u32>(at, 24)
    turn = load<u32>(at, 28)
    xd ^= f1(xa, mask, turn)
    yd ^= f1(ya, mask, turn)
    mask = load<u32>(at, 16)
    turn = load<u32>(at, 20)
    xa ^= f3(xb, mask, turn)
    ya ^= f3(yb, mask, turn)
    mask = load<u32>(at, 8)
    turn = load<u32>(at, 12)
    xb ^= f2(xc, mask, turn)
    yb ^= f2(yc, mask, turn)
    mask = load<u32>(at, 0)
    turn = load<u32>(at, 4)
    xc ^= f1(xd, mask, turn)
    yc ^= f1(yd, mask, turn)
  }
  storeReversed(target, xa, xb, xc, xd)
  storeReversed(target + other, ya, yb, yc, yd)
}

/** A backward quad-round undoes a forward one with the same keys. */
function decryptOne(key: usize, source: usize, target: usize): void {
  const x = loadReversed(source)
  let xa: u32 = i32x4.extract_lane(x, 0)
  let xb: u32 = i32x4.extract_lane(x, 1)
  let xc: u32 = i32x4.extract_lane(x, 2)
  let xd: u32 = i32x4.extract_lane(x, 3)
  let mask: u32
  let turn: u32
  let at = key + 352
  for (; at >= key + 192; at -= 32) {
    mask = load<u32>(at, 0)
    turn = load<u32>(at, 4)
    xc ^= f1(xd, mask, turn)
    mask = load<u32>(at, 8)
    turn = load<u32>(at, 12)
    xb ^= f2(xc, mask, turn)
    mask = load<u32>(at, 16)
    turn = load<u32>(at, 20)
    xa ^= f3(xb, mask, turn)
    mask = load<u32>(at, 24)
    turn = load<u32>(at, 28)
    xd ^= f1(xa, mask, turn)
  }
  for (; at >= key; at -= 32) {
    mask = load<u32>(at, 24)
    turn = load<u32>(at, 28)
    xd ^= f1(xa, mask, turn)
    mask = load<u32>(at, 16)
    turn = load<u32>(at, 20)
    xa ^= f3(xb, mask, turn)
    mask = load<u32>(at, 8)
    turn = load<u32>(at, 12)
    xb ^= f2(xc, mask, turn)
    mask = load<u32>(at, 0)
    turn = load<u32>(at, 4)
    xc ^= f1(xd, mask, turn)
  }
  storeReversed(target, xa, xb, xc, xd)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 1; blocks -= 2, source += 32, target += 32) encryptTwo(key, source, target, 16)
  if (blocks > 0) encryptTwo(key, source, target, 0)
}

export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 0; blocks--, source += 16, target += 16) decryptOne(key, source, target)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
