// Anubis, tweaked (Barreto, Rijmen, "The Anubis Block Cipher", revised 2001) by four tables of S-box and diffusion.
// Words are little-endian. The transposition makes a word of the next state from the bytes at one place of all four
// words. One block at a time: a second one finds no registers left, and the processor looks ahead to the next anyway.
import { ctrOver } from './shared/ctr'

// Four tables of 256 words, then the S-box (256 bytes): see src/ciphers/anubis.ts. Added to an index as the offset of a
// load, T costs nothing.
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
    load<u32>((a << 2) & 0x3fc, T) ^
    load<u32>((b << 2) & 0x3fc, T + 1024) ^
    load<u32>((c << 2) & 0x3fc, T + 2048) ^
    load<u32>((d << 2) & 0x3fc, T + 3072)
  )
}

// @ts-ignore: decorator
@inline
function mix1(a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    load<u32>((a >> 6) & 0x3fc, T) ^
    load<u32>((b >> 6) & 0x3fc, T + 1024) ^
    load<u32>((c >> 6) & 0x3fc, T + 2048) ^
    load<u32>((d >> 6) & 0x3fc, T + 3072)
  )
}

// @ts-ignore: decorator
@inline
function mix2(a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    load<u32>((a >> 14) & 0x3fc, T) ^
    load<u32>((b >> 14) & 0x3fc, T + 1024) ^
    load<u32>((c >> 14) & 0x3fc, T + 2048) ^
    load<u32>((d >> 14) & 0x3fc, T + 3072)
  )
}

// @ts-ignore: decorator
@inline
function mix3(a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    load<u32>((a >> 22) & 0x3fc, T) ^
    load<u32>((b >> 22) & 0x3fc, T + 1024) ^
    load<u32>((c >> 22) & 0x3fc, T + 2048) ^
    load<u32>((d >> 22) & 0x3fc, T + 3072)
  )
}

/** The last round: substitution and transposition only. */
// @ts-ignore: decorator
@inline
function last(a: u32, b: u32, c: u32, d: u32, shift: u32): u32 {
  return (
    <u32>load<u8>((a >> shift) & 0xff, S) |
    (<u32>load<u8>((b >> shift) & 0xff, S) << 8) |
    (<u32>load<u8>((c >> shift) & 0xff, S) << 16) |
    (<u32>load<u8>((d >> shift) & 0xff, S) << 24)
  )
}

function encryptOne(key: usize, source: usize, target: usize): void {
  let at = key + 16
  const end = at + (load<u32>(key) << 4)
  let a0 = load<u32>(source, 0) ^ load<u32>(at, 0)
  let a1 = load<u32>(source, 4) ^ load<u32>(at, 4)
  let a2 = load<u32>(source, 8) ^ load<u32>(at, 8)
  let a3 = load<u32>(source, 12) ^ load<u32>(at, 12)
  for (at += 16; at < end; at += 16) {
    const b0 = mix0(a0, a1, a2, a3) ^ load<u32>(at, 0)
    const b1 = mix1(a0, a1, a2, a3) ^ load<u32>(at, 4)
    const b2 = mix2(a0, a1, a2, a3) ^ load<u32>(at, 8)
    const b3 = mix3(a0, a1, a2, a3) ^ load<u32>(at, 12)
    a0 = b0
    a1 = b1
    a2 = b2
    a3 = b3
  }
  store<u32>(target, last(a0, a1, a2, a3, 0) ^ load<u32>(end, 0), 0)
  store<u32>(target, last(a0, a1, a2, a3, 8) ^ load<u32>(end, 4), 4)
  store<u32>(target, last(a0, a1, a2, a3, 16) ^ load<u32>(end, 8), 8)
  store<u32>(target, last(a0, a1, a2, a3, 24) ^ load<u32>(end, 12), 12)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 0; blocks--, source += 16, target += 16) encryptOne(key, source, target)
}

/** All layers undo themselves: the same with the inverse round keys. */
export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 0; blocks--, source += 16, target += 16) encryptOne(key + PART_BYTES, source, target)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
