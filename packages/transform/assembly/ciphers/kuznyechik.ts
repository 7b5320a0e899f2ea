// Kuznyechik (GOST R 34.12-2015, RFC 7801) by sixteen tables of vectors: substitution and linear transformation of the
// byte at each place are one look-up of 16 bytes, and a round is sixteen look-ups XORed together.
import { ctrOver } from './shared/ctr'

// LS tables (16 x 256 vectors), inverse LS tables likewise, S-box, inverse S-box (256 bytes each): see src/ciphers/kuznyechik.ts.
const TABLES: usize = memory.data(131584, 16)
const LS: usize = TABLES
const S: usize = TABLES + 131072
const INVERSE_S: usize = TABLES + 131328

/** Of a look-up: the inverse tables stand this far behind. */
const INVERSE: usize = 65536

// The expanded key: ten encryption round keys, then ten decryption round keys, 16 bytes each.
const DECRYPTION_KEYS: usize = 160

export function tables(): usize {
  return TABLES
}

// @ts-ignore: decorator
@inline
function linear(part: usize, low: u64, high: u64): v128 {
  const a = v128.xor(
    v128.xor(v128.load(part + (((<u32>low) << 4) & 0xff0), LS), v128.load(part + (((<u32>low) >> 4) & 0xff0), LS + 4096)),
    v128.xor(
      v128.load(part + (((<u32>low) >> 12) & 0xff0), LS + 8192),
      v128.load(part + (((<u32>low) >> 20) & 0xff0), LS + 12288),
    ),
  )
  const lowTop = <u32>(low >> 32)
  const b = v128.xor(
    v128.xor(v128.load(part + ((lowTop << 4) & 0xff0), LS + 16384), v128.load(part + ((lowTop >> 4) & 0xff0), LS + 20480)),
    v128.xor(v128.load(part + ((lowTop >> 12) & 0xff0), LS + 24576), v128.load(part + ((lowTop >> 20) & 0xff0), LS + 28672)),
  )
  const highLow = <u32>high
  const c = v128.xor(
    v128.xor(v128.load(part + ((highLow << 4) & 0xff0), LS + 32768), v128.load(part + ((highLow >> 4) & 0xff0), LS + 36864)),
    v128.xor(v128.load(part + ((highLow >> 12) & 0xff0), LS + 40960), v128.load(part + ((highLow >> 20) & 0xff0), LS + 45056)),
  )
  const highTop = <u32>(high >> 32)
  const d = v128.xor(
    v128.xor(v128.load(part + ((highTop << 4) & 0xff0), LS + 49152), v128.load(part + ((highTop >> 4) & 0xff0), LS + 53248)),
    v128.xor(v128.load(part + ((highTop >> 12) & 0xff0), LS + 57344), v128.load(part + ((highTop >> 20) & 0xff0), LS + 61440)),
  )
  return v128.xor(v128.xor(a, b), v128.xor(c, d))
}

// @ts-ignore: decorator
@inline
function low(state: v128): u64 {
  return i64x2.extract_lane(state, 0)
}

// @ts-ignore: decorator
@inline
function high(state: v128): u64 {
  return i64x2.extract_lane(state, 1)
}

/** Two blocks take turns, so that the look-ups of one hide the latency of the other; one alone stands in for both. */
export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (let left = <i32>blocks; left > 0; left -= 2, source += 32, target += 32) {
    const other: usize = left > 1 ? 16 : 0
    let k = v128.load(key)
    let a = v128.xor(v128.load(source), k)
    let b = v128.xor(v128.load(source + other), k)
    for (let round: usize = 16; round < 160; round += 16) {
      k = v128.load(key + round)
      a = v128.xor(linear(0, low(a), high(a)), k)
      b = v128.xor(linear(0, low(b), high(b)), k)
    }
    v128.store(target, a)
    v128.store(target + other, b)
  }
}

// @ts-ignore: decorator
@inline
function substitute(box: usize, block: usize, target: usize): void {
  for (let i: usize = 0; i < 16; i++) store<u8>(target + i, load<u8>(box + load<u8>(block + i)))
}

/**
 * With L' (the inverse of L) moved over the key additions, the inverse rounds between are look-ups of L'(S'(x)). The
 * first one has no S' before it, so S goes in to cancel it; the last S' stands alone.
 */
export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  const keys = key + DECRYPTION_KEYS
  for (; blocks > 0; blocks--, source += 16, target += 16) {
    substitute(S, source, target)
    let a = v128.load(target)
    for (let round: usize = 0; round < 144; round += 16) {
      a = v128.xor(linear(INVERSE, low(a), high(a)), v128.load(keys + round))
    }
    v128.store(target, a)
    substitute(INVERSE_S, target, target)
    v128.store(target, v128.xor(v128.load(target), v128.load(keys + 144)))
  }
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
