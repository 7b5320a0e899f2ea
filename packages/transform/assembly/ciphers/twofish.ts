// Twofish (Schneier et al., "Twofish: A 128-Bit Block Cipher") with full keying: the key-dependent S-boxes and the MDS
// matrix are four tables made once per key. Words are little-endian. The halves stay in place: two rounds are written
// out, and the one-bit rotations with them. Two blocks take turns, since a round waits for the one before it.
import { ctrOver } from './shared/ctr'

// The expanded key: four tables of 256 words, then 40 subkeys.
const SUBKEYS: usize = 4096

export function tables(): usize {
  return 0
}

// @ts-ignore: decorator
@inline
function g(key: usize, x: u32): u32 {
  return (
    load<u32>(key + ((x << 2) & 0x3fc)) ^
    load<u32>(key + ((x >> 6) & 0x3fc), 1024) ^
    load<u32>(key + ((x >> 14) & 0x3fc), 2048) ^
    load<u32>(key + ((x >> 22) & 0x3fc), 3072)
  )
}

/** g of the word turned left by 8: the same look-ups with the bytes one place on. */
// @ts-ignore: decorator
@inline
function gTurned(key: usize, x: u32): u32 {
  return (
    load<u32>(key + ((x >> 22) & 0x3fc)) ^
    load<u32>(key + ((x << 2) & 0x3fc), 1024) ^
    load<u32>(key + ((x >> 6) & 0x3fc), 2048) ^
    load<u32>(key + ((x >> 14) & 0x3fc), 3072)
  )
}

/** Two blocks, `other` bytes apart. */
function encryptTwo(key: usize, source: usize, target: usize, other: usize): void {
  let a0 = load<u32>(source) ^ load<u32>(key, SUBKEYS)
  let a1 = load<u32>(source, 4) ^ load<u32>(key, SUBKEYS + 4)
  let a2 = load<u32>(source, 8) ^ load<u32>(key, SUBKEYS + 8)
  let a3 = load<u32>(source, 12) ^ load<u32>(key, SUBKEYS + 12)
  let b0 = load<u32>(source + other) ^ load<u32>(key, SUBKEYS)
  let b1 = load<u32>(source + other, 4) ^ load<u32>(key, SUBKEYS + 4)
  let b2 = load<u32>(source + other, 8) ^ load<u32>(key, SUBKEYS + 8)
  let b3 = load<u32>(source + other, 12) ^ load<u32>(key, SUBKEYS + 12)
  for (let at: usize = 32; at < 160; at += 16) {
    let k0 = load<u32>(key + at, SUBKEYS)
    let k1 = load<u32>(key + at, SUBKEYS + 4)
    let t = gTurned(key, a1)
    let s = g(key, a0) + t
    a2 = rotr<u32>(a2 ^ (s + k0), 1)
    a3 = rotl<u32>(a3, 1) ^ (s + t + k1)
    t = gTurned(key, b1)
    s = g(key, b0) + t
    b2 = rotr<u32>(b2 ^ (s + k0), 1)
    b3 = rotl<u32>(b3, 1) ^ (s + t + k1)
    k0 = load<u32>(key + at, SUBKEYS + 8)
    k1 = load<u32>(key + at, SUBKEYS + 12)
    t = gTurned(key, a3)
    s = g(key, a2) + t
    a0 = rotr<u32>(a0 ^ (s + k0), 1)
    a1 = rotl<u32>(a1, 1) ^ (s + t + k1)
    t = gTurned(key, b3)
    s = g(key, b2) + t
    b0 = rotr<u32>(b0 ^ (s + k0), 1)
    b1 = rotl<u32>(b1, 1) ^ (s + t + k1)
  }
  store<u32>(target, a2 ^ load<u32>(key, SUBKEYS + 16))
  store<u32>(target, a3 ^ load<u32>(key, SUBKEYS + 20), 4)
  store<u32>(target, a0 ^ load<u32>(key, SUBKEYS + 24), 8)
  store<u32>(target, a1 ^ load<u32>(key, SUBKEYS + 28), 12)
  store<u32>(target + other, b2 ^ load<u32>(key, SUBKEYS + 16))
  store<u32>(target + other, b3 ^ load<u32>(key, SUBKEYS + 20), 4)
  store<u32>(target + other, b0 ^ load<u32>(key, SUBKEYS + 24), 8)
  store<u32>(target + other, b1 ^ load<u32>(key, SUBKEYS + 28), 12)
}

function decryptOne(key: usize, source: usize, target: usize): void {
  let a2 = load<u32>(source) ^ load<u32>(key, SUBKEYS + 16)
  let a3 = load<u32>(source, 4) ^ load<u32>(key, SUBKEYS + 20)
  let a0 = load<u32>(source, 8) ^ load<u32>(key, SUBKEYS + 24)
  let a1 = load<u32>(source, 12) ^ load<u32>(key, SUBKEYS + 28)
  for (let at: usize = 144; at >= 32; at -= 16) {
    let t = gTurned(key, a3)
    let s = g(key, a2) + t
    a0 = rotl<u32>(a0, 1) ^ (s + load<u32>(key + at, SUBKEYS + 8))
    a1 = rotr<u32>(a1 ^ (s + t + load<u32>(key + at, SUBKEYS + 12)), 1)
    t = gTurned(key, a1)
    s = g(key, a0) + t
    a2 = rotl<u32>(a2, 1) ^ (s + load<u32>(key + at, SUBKEYS))
    a3 = rotr<u32>(a3 ^ (s + t + load<u32>(key + at, SUBKEYS + 4)), 1)
  }
  store<u32>(target, a0 ^ load<u32>(key, SUBKEYS))
  store<u32>(target, a1 ^ load<u32>(key, SUBKEYS + 4), 4)
  store<u32>(target, a2 ^ load<u32>(key, SUBKEYS + 8), 8)
  store<u32>(target, a3 ^ load<u32>(key, SUBKEYS + 12), 12)
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
