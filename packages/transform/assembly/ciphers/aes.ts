// Rijndael with 128-bit blocks (FIPS 197) by the T-tables of the Rijndael proposal, section 5.2: SubBytes, ShiftRows and
// MixColumns are four look-ups a column. Words are little-endian columns. Two blocks run interleaved, so that the
// look-ups of one hide the latency of the other.
import { ctrOver } from './shared/ctr'

// T0..T3, inverse T0..T3 (1 KiB each), S-box, inverse S-box (256 bytes each): see src/ciphers/aes.ts.
const TABLES: usize = memory.data(8704, 16)
const T: usize = TABLES
const INVERSE_T: usize = TABLES + 4096
const S: usize = TABLES + 8192
const INVERSE_S: usize = TABLES + 8448

// The expanded key: rounds (u32, padded to 16 bytes), then encryption round keys, then decryption ones (240 bytes each).
const ENCRYPTION_KEYS: usize = 16
const DECRYPTION_KEYS: usize = 256

export function tables(): usize {
  return TABLES
}

// @ts-ignore: decorator
@inline
function mix(table: usize, a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    load<u32>(table + ((a << 2) & 0x3fc)) ^
    load<u32>(table + ((b >> 6) & 0x3fc), 1024) ^
    load<u32>(table + ((c >> 14) & 0x3fc), 2048) ^
    load<u32>(table + ((d >> 22) & 0x3fc), 3072)
  )
}

// @ts-ignore: decorator
@inline
function last(box: usize, a: u32, b: u32, c: u32, d: u32): u32 {
  return (
    <u32>load<u8>(box + (a & 0xff)) |
    (<u32>load<u8>(box + ((b >> 8) & 0xff)) << 8) |
    (<u32>load<u8>(box + ((c >> 16) & 0xff)) << 16) |
    (<u32>load<u8>(box + (d >> 24)) << 24)
  )
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  const rounds = load<u32>(key)
  const first = key + ENCRYPTION_KEYS
  const end = first + (rounds << 4)
  while (blocks > 0) {
    // An odd last block runs twice rather than through a second copy of the code.
    const other: usize = blocks > 1 ? 16 : 0
    let a0 = load<u32>(source) ^ load<u32>(first)
    let a1 = load<u32>(source, 4) ^ load<u32>(first, 4)
    let a2 = load<u32>(source, 8) ^ load<u32>(first, 8)
    let a3 = load<u32>(source, 12) ^ load<u32>(first, 12)
    let b0 = load<u32>(source + other) ^ load<u32>(first)
    let b1 = load<u32>(source + other, 4) ^ load<u32>(first, 4)
    let b2 = load<u32>(source + other, 8) ^ load<u32>(first, 8)
    let b3 = load<u32>(source + other, 12) ^ load<u32>(first, 12)
    for (let round = first + 16; round < end; round += 16) {
      const k0 = load<u32>(round)
      const k1 = load<u32>(round, 4)
      const k2 = load<u32>(round, 8)
      const k3 = load<u32>(round, 12)
      const c0 = mix(T, a0, a1, a2, a3) ^ k0
      const c1 = mix(T, a1, a2, a3, a0) ^ k1
      const c2 = mix(T, a2, a3, a0, a1) ^ k2
      const c3 = mix(T, a3, a0, a1, a2) ^ k3
      a0 = c0
      a1 = c1
      a2 = c2
      a3 = c3
      const d0 = mix(T, b0, b1, b2, b3) ^ k0
      const d1 = mix(T, b1, b2, b3, b0) ^ k1
      const d2 = mix(T, b2, b3, b0, b1) ^ k2
      const d3 = mix(T, b3, b0, b1, b2) ^ k3
      b0 = d0
      b1 = d1
      b2 = d2
      b3 = d3
    }
    store<u32>(target, last(S, a0, a1, a2, a3) ^ load<u32>(end))
    store<u32>(target, last(S, a1, a2, a3, a0) ^ load<u32>(end, 4), 4)
    store<u32>(target, last(S, a2, a3, a0, a1) ^ load<u32>(end, 8), 8)
    store<u32>(target, last(S, a3, a0, a1, a2) ^ load<u32>(end, 12), 12)
    store<u32>(target + other, last(S, b0, b1, b2, b3) ^ load<u32>(end))
    store<u32>(target + other, last(S, b1, b2, b3, b0) ^ load<u32>(end, 4), 4)
    store<u32>(target + other, last(S, b2, b3, b0, b1) ^ load<u32>(end, 8), 8)
    store<u32>(target + other, last(S, b3, b0, b1, b2) ^ load<u32>(end, 12), 12)
    if (other === 0) return
    source += 32
    target += 32
    blocks -= 2
  }
}

/** The equivalent inverse cipher, FIPS 197 section 5.3.5. */
export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  const rounds = load<u32>(key)
  const first = key + DECRYPTION_KEYS
  const end = first + (rounds << 4)
  for (; blocks > 0; blocks--, source += 16, target += 16) {
    let a0 = load<u32>(source) ^ load<u32>(first)
    let a1 = load<u32>(source, 4) ^ load<u32>(first, 4)
    let a2 = load<u32>(source, 8) ^ load<u32>(first, 8)
    let a3 = load<u32>(source, 12) ^ load<u32>(first, 12)
    for (let round = first + 16; round < end; round += 16) {
      const c0 = mix(INVERSE_T, a0, a3, a2, a1) ^ load<u32>(round)
      const c1 = mix(INVERSE_T, a1, a0, a3, a2) ^ load<u32>(round, 4)
      const c2 = mix(INVERSE_T, a2, a1, a0, a3) ^ load<u32>(round, 8)
      const c3 = mix(INVERSE_T, a3, a2, a1, a0) ^ load<u32>(round, 12)
      a0 = c0
      a1 = c1
      a2 = c2
      a3 = c3
    }
    store<u32>(target, last(INVERSE_S, a0, a3, a2, a1) ^ load<u32>(end))
    store<u32>(target, last(INVERSE_S, a1, a0, a3, a2) ^ load<u32>(end, 4), 4)
    store<u32>(target, last(INVERSE_S, a2, a1, a0, a3) ^ load<u32>(end, 8), 8)
    store<u32>(target, last(INVERSE_S, a3, a2, a1, a0) ^ load<u32>(end, 12), 12)
  }
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
