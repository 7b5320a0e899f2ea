// Anubis, tweaked (Barreto, Rijmen, "The Anubis Block Cipher", revised 2001) by four tables of S-box and diffusion.
// Words are little-endian. The transposition makes a word of the next state from the bytes at one place of all four
// words. Two blocks take turns.
import { ctrOver } from './shared/ctr'

// Four tables of 256 words, then the S-box (256 bytes): see src/ciphers/anubis.ts.
const T: usize = memory.data(4352, 16)
const S: usize = T + 4096

// The expanded key: rounds (u32, padded to 16 bytes), then the round keys; those for decryption in a second part.
const PART_BYTES: usize = 320

export function tables(): usize {
  return T
}

// @ts-ignore: decorator
@inline
function mix0(a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    load<u32>(T + ((a << 2) & 0x3fc)) ^
    load<u32>(T + ((b << 2) & 0x3fc), 1024) ^
    load<u32>(T + ((c << 2) & 0x3fc), 2048) ^
    load<u32>(T + ((d << 2) & 0x3fc), 3072)
  )
}

// @ts-ignore: decorator
@inline
function mix1(a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    load<u32>(T + ((a >> 6) & 0x3fc)) ^
    load<u32>(T + ((b >> 6) & 0x3fc), 1024) ^
    load<u32>(T + ((c >> 6) & 0x3fc), 2048) ^
    load<u32>(T + ((d >> 6) & 0x3fc), 3072)
  )
}

// @ts-ignore: decorator
@inline
function mix2(a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    load<u32>(T + ((a >> 14) & 0x3fc)) ^
    load<u32>(T + ((b >> 14) & 0x3fc), 1024) ^
    load<u32>(T + ((c >> 14) & 0x3fc), 2048) ^
    load<u32>(T + ((d >> 14) & 0x3fc), 3072)
  )
}

// @ts-ignore: decorator
@inline
function mix3(a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    load<u32>(T + ((a >> 22) & 0x3fc)) ^
    load<u32>(T + ((b >> 22) & 0x3fc), 1024) ^
    load<u32>(T + ((c >> 22) & 0x3fc), 2048) ^
    load<u32>(T + ((d >> 22) & 0x3fc), 3072)
  )
}

/** The last round: substitution and transposition only. */
// @ts-ignore: decorator
@inline
function last(a: u32, b: u32, c: u32, d: u32, shift: u32): u32 {
  return (
    <u32>load<u8>(S + ((a >> shift) & 0xff)) |
    (<u32>load<u8>(S + ((b >> shift) & 0xff)) << 8) |
    (<u32>load<u8>(S + ((c >> shift) & 0xff)) << 16) |
    (<u32>load<u8>(S + ((d >> shift) & 0xff)) << 24)
  )
}

/** Two blocks, `other` bytes apart. */
function encryptTwo(key: usize, source: usize, target: usize, other: usize): void {
  let at = key + 16
  const end = at + (load<u32>(key) << 4)
  let a0 = load<u32>(source, 0) ^ load<u32>(at, 0)
  let a1 = load<u32>(source, 4) ^ load<u32>(at, 4)
  let a2 = load<u32>(source, 8) ^ load<u32>(at, 8)
  let a3 = load<u32>(source, 12) ^ load<u32>(at, 12)
  let b0 = load<u32>(source + other, 0) ^ load<u32>(at, 0)
  let b1 = load<u32>(source + other, 4) ^ load<u32>(at, 4)
  let b2 = load<u32>(source + other, 8) ^ load<u32>(at, 8)
  let b3 = load<u32>(source + other, 12) ^ load<u32>(at, 12)
  for (at += 16; at < end; at += 16) {
    const c0 = mix0(a0, a1, a2, a3) ^ load<u32>(at, 0)
    const c1 = mix1(a0, a1, a2, a3) ^ load<u32>(at, 4)
    const c2 = mix2(a0, a1, a2, a3) ^ load<u32>(at, 8)
    const c3 = mix3(a0, a1, a2, a3) ^ load<u32>(at, 12)
    a0 = c0
    a1 = c1
    a2 = c2
    a3 = c3
    const d0 = mix0(b0, b1, b2, b3) ^ load<u32>(at, 0)
    const d1 = mix1(b0, b1, b2, b3) ^ load<u32>(at, 4)
    const d2 = mix2(b0, b1, b2, b3) ^ load<u32>(at, 8)
    const d3 = mix3(b0, b1, b2, b3) ^ load<u32>(at, 12)
    b0 = d0
    b1 = d1
    b2 = d2
    b3 = d3
  }
  store<u32>(target, last(a0, a1, a2, a3, 0) ^ load<u32>(end, 0), 0)
  store<u32>(target, last(a0, a1, a2, a3, 8) ^ load<u32>(end, 4), 4)
  store<u32>(target, last(a0, a1, a2, a3, 16) ^ load<u32>(end, 8), 8)
  store<u32>(target, last(a0, a1, a2, a3, 24) ^ load<u32>(end, 12), 12)
  store<u32>(target + other, last(b0, b1, b2, b3, 0) ^ load<u32>(end, 0), 0)
  store<u32>(target + other, last(b0, b1, b2, b3, 8) ^ load<u32>(end, 4), 4)
  store<u32>(target + other, last(b0, b1, b2, b3, 16) ^ load<u32>(end, 8), 8)
  store<u32>(target + other, last(b0, b1, b2, b3, 24) ^ load<u32>(end, 12), 12)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 1; blocks -= 2, source += 32, target += 32) encryptTwo(key, source, target, 16)
  if (blocks > 0) encryptTwo(key, source, target, 0)
}

/** All layers undo themselves: the same with the inverse round keys. */
export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 1; blocks -= 2, source += 32, target += 32) encryptTwo(key + PART_BYTES, source, target, 16)
  if (blocks > 0) encryptTwo(key + PART_BYTES, source, target, 0)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
