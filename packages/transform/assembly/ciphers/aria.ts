// ARIA (RFC 5794) by tables of S-box and half of the diffusion: the layer A is M P M after the bytes of each word have
// been summed by three, where M sums the words by three and P permutes bytes within words. Words are little-endian. Two
// blocks take turns.
import { ctrOver } from './shared/ctr'

// Four tables of 256 words for S1, S2 and their inverses, then the four boxes themselves (256 bytes each): see
// src/ciphers/aria.ts.
const T: usize = memory.data(5120, 16)
const S: usize = T + 4096

// The expanded key: rounds (u32, padded to 16 bytes), then the round keys; those for decryption in a second part.
const PART_BYTES: usize = 288

export function tables(): usize {
  return T
}

/** Substitution layer 1 (S1, S2, inverse S1, inverse S2) of a word, its bytes summed by three. */
// @ts-ignore: decorator
@inline
function odd(x: u32): u32 {
  return (
    load<u32>((x << 2) & 0x3fc, T) ^
    load<u32>((x >> 6) & 0x3fc, T + 1024) ^
    load<u32>((x >> 14) & 0x3fc, T + 2048) ^
    load<u32>((x >> 22) & 0x3fc, T + 3072)
  )
}

/** Substitution layer 2: the inverse boxes first. The tables stand for other places, so the sums come out turned by 16. */
// @ts-ignore: decorator
@inline
function even(x: u32): u32 {
  return (
    load<u32>((x << 2) & 0x3fc, T + 2048) ^
    load<u32>((x >> 6) & 0x3fc, T + 3072) ^
    load<u32>((x >> 14) & 0x3fc, T) ^
    load<u32>((x >> 22) & 0x3fc, T + 1024)
  )
}

/** The bytes of each half word changed over. */
// @ts-ignore: decorator
@inline
function swap(x: u32): u32 {
  return ((x & 0x00ff00ff) << 8) | ((x >> 8) & 0x00ff00ff)
}

/** Substitution layer 2 of a word without diffusion: the last round. */
// @ts-ignore: decorator
@inline
function last(x: u32): u32 {
  return (
    <u32>load<u8>(x & 0xff, S + 512) |
    (<u32>load<u8>((x >> 8) & 0xff, S + 768) << 8) |
    (<u32>load<u8>((x >> 16) & 0xff, S) << 16) |
    (<u32>load<u8>(x >> 24, S + 256) << 24)
  )
}

/** Two blocks, `other` bytes apart. */
function encryptTwo(key: usize, source: usize, target: usize, other: usize): void {
  let at = key + 16
  const end = at + (load<u32>(key) << 4)
  let a0 = load<u32>(source, 0)
  let a1 = load<u32>(source, 4)
  let a2 = load<u32>(source, 8)
  let a3 = load<u32>(source, 12)
  let b0 = load<u32>(source + other, 0)
  let b1 = load<u32>(source + other, 4)
  let b2 = load<u32>(source + other, 8)
  let b3 = load<u32>(source + other, 12)
  for (;;) {
    let sum: u32
    a0 = odd(a0 ^ load<u32>(at, 0))
    a1 = odd(a1 ^ load<u32>(at, 4))
    a2 = odd(a2 ^ load<u32>(at, 8))
    a3 = odd(a3 ^ load<u32>(at, 12))
    sum = a0 ^ a1 ^ a2 ^ a3
    a0 ^= sum
    a1 ^= sum
    a2 ^= sum
    a3 ^= sum
    a0 = rotl<u32>(swap(a0), 16)
    a1 = swap(a1)
    a2 = rotl<u32>(a2, 16)
    sum = a0 ^ a1 ^ a2 ^ a3
    a0 ^= sum
    a1 ^= sum
    a2 ^= sum
    a3 ^= sum
    b0 = odd(b0 ^ load<u32>(at, 0))
    b1 = odd(b1 ^ load<u32>(at, 4))
    b2 = odd(b2 ^ load<u32>(at, 8))
    b3 = odd(b3 ^ load<u32>(at, 12))
    sum = b0 ^ b1 ^ b2 ^ b3
    b0 ^= sum
    b1 ^= sum
    b2 ^= sum
    b3 ^= sum
    b0 = rotl<u32>(swap(b0), 16)
    b1 = swap(b1)
    b2 = rotl<u32>(b2, 16)
    sum = b0 ^ b1 ^ b2 ^ b3
    b0 ^= sum
    b1 ^= sum
    b2 ^= sum
    b3 ^= sum
    if (at + 32 >= end) break
    a0 = even(a0 ^ load<u32>(at, 16))
    a1 = even(a1 ^ load<u32>(at, 20))
    a2 = even(a2 ^ load<u32>(at, 24))
    a3 = even(a3 ^ load<u32>(at, 28))
    sum = a0 ^ a1 ^ a2 ^ a3
    a0 ^= sum
    a1 ^= sum
    a2 ^= sum
    a3 ^= sum
    a0 = swap(a0)
    a1 = rotl<u32>(swap(a1), 16)
    a3 = rotl<u32>(a3, 16)
    sum = a0 ^ a1 ^ a2 ^ a3
    a0 ^= sum
    a1 ^= sum
    a2 ^= sum
    a3 ^= sum
    b0 = even(b0 ^ load<u32>(at, 16))
    b1 = even(b1 ^ load<u32>(at, 20))
    b2 = even(b2 ^ load<u32>(at, 24))
    b3 = even(b3 ^ load<u32>(at, 28))
    sum = b0 ^ b1 ^ b2 ^ b3
    b0 ^= sum
    b1 ^= sum
    b2 ^= sum
    b3 ^= sum
    b0 = swap(b0)
    b1 = rotl<u32>(swap(b1), 16)
    b3 = rotl<u32>(b3, 16)
    sum = b0 ^ b1 ^ b2 ^ b3
    b0 ^= sum
    b1 ^= sum
    b2 ^= sum
    b3 ^= sum
    at += 32
  }
  store<u32>(target, last(a0 ^ load<u32>(at, 16)) ^ load<u32>(end, 0), 0)
  store<u32>(target, last(a1 ^ load<u32>(at, 20)) ^ load<u32>(end, 4), 4)
  store<u32>(target, last(a2 ^ load<u32>(at, 24)) ^ load<u32>(end, 8), 8)
  store<u32>(target, last(a3 ^ load<u32>(at, 28)) ^ load<u32>(end, 12), 12)
  store<u32>(target + other, last(b0 ^ load<u32>(at, 16)) ^ load<u32>(end, 0), 0)
  store<u32>(target + other, last(b1 ^ load<u32>(at, 20)) ^ load<u32>(end, 4), 4)
  store<u32>(target + other, last(b2 ^ load<u32>(at, 24)) ^ load<u32>(end, 8), 8)
  store<u32>(target + other, last(b3 ^ load<u32>(at, 28)) ^ load<u32>(end, 12), 12)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 1; blocks -= 2, source += 32, target += 32) encryptTwo(key, source, target, 16)
  if (blocks > 0) encryptTwo(key, source, target, 0)
}

/** All layers undo themselves or each other: the same with the inverse round keys. */
export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 1; blocks -= 2, source += 32, target += 32) encryptTwo(key + PART_BYTES, source, target, 16)
  if (blocks > 0) encryptTwo(key + PART_BYTES, source, target, 0)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
