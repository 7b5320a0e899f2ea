// Kalyna (DSTU 7624:2014) with 128, 256 and 512-bit blocks by four tables of S-box and MDS matrix: a column of the next
// state is eight look-ups of 64 bits. Rows 4 to 7 have the S-boxes of rows 0 to 3 and a matrix that is turned by four rows. Columns are little-endian, two, four or eight of them.
import { ctrOver } from './shared/ctr'

// Four tables of 256 u64; eight tables of the inverse matrix alone; four inverse S-boxes (256 bytes each): see
// src/ciphers/kalyna.ts. Added to an index as the offset of a load, T costs nothing.
const T: usize = memory.data(25600, 16)
const INVERSE_MDS: usize = T + 8192
const INVERSE_S: usize = T + 24576

// The expanded key: block bytes (u32), rounds (u32), then the round keys, one block each.
const ROUND_KEYS: usize = 8

export function tables(): usize {
  return T
}

/** A column of the next state from the columns its rows come from. */
// @ts-ignore: decorator
@inline
function column(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64): u64 {
  const upper =
    load<u64>(<u32>(a << 3) & 0x7f8, T) ^
    load<u64>(<u32>(b >> 5) & 0x7f8, T + 2048) ^
    load<u64>(<u32>(c >> 13) & 0x7f8, T + 4096) ^
    load<u64>(<u32>(d >> 21) & 0x7f8, T + 6144)
  const lower =
    load<u64>(<u32>(e >> 29) & 0x7f8, T) ^
    load<u64>(<u32>(f >> 37) & 0x7f8, T + 2048) ^
    load<u64>(<u32>(g >> 45) & 0x7f8, T + 4096) ^
    load<u64>(<u32>(h >> 53) & 0x7f8, T + 6144)
  return upper ^ rotl(lower, 32)
}

/** Two blocks, `other` bytes apart. */
function encrypt128(key: usize, source: usize, target: usize, other: usize): void {
  let at = key + ROUND_KEYS
  const end = at + load<u32>(key, 4) * 16
  let a0 = load<u64>(source, 0) + load<u64>(at, 0)
  let a1 = load<u64>(source, 8) + load<u64>(at, 8)
  let b0 = load<u64>(source + other, 0) + load<u64>(at, 0)
  let b1 = load<u64>(source + other, 8) + load<u64>(at, 8)
  for (;;) {
    at += 16
    const aa0 = column(a0, a0, a0, a0, a1, a1, a1, a1)
    const aa1 = column(a1, a1, a1, a1, a0, a0, a0, a0)
    const bb0 = column(b0, b0, b0, b0, b1, b1, b1, b1)
    const bb1 = column(b1, b1, b1, b1, b0, b0, b0, b0)
    if (at === end) {
      store<u64>(target, aa0 + load<u64>(at, 0), 0)
      store<u64>(target, aa1 + load<u64>(at, 8), 8)
      store<u64>(target + other, bb0 + load<u64>(at, 0), 0)
      store<u64>(target + other, bb1 + load<u64>(at, 8), 8)
      return
    }
    a0 = aa0 ^ load<u64>(at, 0)
    a1 = aa1 ^ load<u64>(at, 8)
    b0 = bb0 ^ load<u64>(at, 0)
    b1 = bb1 ^ load<u64>(at, 8)
  }
}

function encrypt256(key: usize, source: usize, target: usize): void {
  let at = key + ROUND_KEYS
  const end = at + load<u32>(key, 4) * 32
  let a0 = load<u64>(source, 0) + load<u64>(at, 0)
  let a1 = load<u64>(source, 8) + load<u64>(at, 8)
  let a2 = load<u64>(source, 16) + load<u64>(at, 16)
  let a3 = load<u64>(source, 24) + load<u64>(at, 24)
  for (;;) {
    at += 32
    const aa0 = column(a0, a0, a3, a3, a2, a2, a1, a1)
    const aa1 = column(a1, a1, a0, a0, a3, a3, a2, a2)
    const aa2 = column(a2, a2, a1, a1, a0, a0, a3, a3)
    const aa3 = column(a3, a3, a2, a2, a1, a1, a0, a0)
    if (at === end) {
      store<u64>(target, aa0 + load<u64>(at, 0), 0)
      store<u64>(target, aa1 + load<u64>(at, 8), 8)
      store<u64>(target, aa2 + load<u64>(at, 16), 16)
      store<u64>(target, aa3 + load<u64>(at, 24), 24)
      return
    }
    a0 = aa0 ^ load<u64>(at, 0)
    a1 = aa1 ^ load<u64>(at, 8)
    a2 = aa2 ^ load<u64>(at, 16)
    a3 = aa3 ^ load<u64>(at, 24)
  }
}

function encrypt512(key: usize, source: usize, target: usize): void {
  let at = key + ROUND_KEYS
  const end = at + load<u32>(key, 4) * 64
  let a0 = load<u64>(source, 0) + load<u64>(at, 0)
  let a1 = load<u64>(source, 8) + load<u64>(at, 8)
  let a2 = load<u64>(source, 16) + load<u64>(at, 16)
  let a3 = load<u64>(source, 24) + load<u64>(at, 24)
  let a4 = load<u64>(source, 32) + load<u64>(at, 32)
  let a5 = load<u64>(source, 40) + load<u64>(at, 40)
  let a6 = load<u64>(source, 48) + load<u64>(at, 48)
  let a7 = load<u64>(source, 56) + load<u64>(at, 56)
  for (;;) {
    at += 64
    const aa0 = column(a0, a7, a6, a5, a4, a3, a2, a1)
    const aa1 = column(a1, a0, a7, a6, a5, a4, a3, a2)
    const aa2 = column(a2, a1, a0, a7, a6, a5, a4, a3)
    const aa3 = column(a3, a2, a1, a0, a7, a6, a5, a4)
    const aa4 = column(a4, a3, a2, a1, a0, a7, a6, a5)
    const aa5 = column(a5, a4, a3, a2, a1, a0, a7, a6)
    const aa6 = column(a6, a5, a4, a3, a2, a1, a0, a7)
    const aa7 = column(a7, a6, a5, a4, a3, a2, a1, a0)
    if (at === end) {
      store<u64>(target, aa0 + load<u64>(at, 0), 0)
      store<u64>(target, aa1 + load<u64>(at, 8), 8)
      store<u64>(target, aa2 + load<u64>(at, 16), 16)
      store<u64>(target, aa3 + load<u64>(at, 24), 24)
      store<u64>(target, aa4 + load<u64>(at, 32), 32)
      store<u64>(target, aa5 + load<u64>(at, 40), 40)
      store<u64>(target, aa6 + load<u64>(at, 48), 48)
      store<u64>(target, aa7 + load<u64>(at, 56), 56)
      return
    }
    a0 = aa0 ^ load<u64>(at, 0)
    a1 = aa1 ^ load<u64>(at, 8)
    a2 = aa2 ^ load<u64>(at, 16)
    a3 = aa3 ^ load<u64>(at, 24)
    a4 = aa4 ^ load<u64>(at, 32)
    a5 = aa5 ^ load<u64>(at, 40)
    a6 = aa6 ^ load<u64>(at, 48)
    a7 = aa7 ^ load<u64>(at, 56)
  }
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  const blockBytes = load<u32>(key)
  if (blockBytes === 16) {
    for (; blocks > 1; blocks -= 2, source += 32, target += 32) encrypt128(key, source, target, 16)
    if (blocks > 0) encrypt128(key, source, target, 0)
    return
  }
  for (; blocks > 0; blocks--, source += blockBytes, target += blockBytes) {
    if (blockBytes === 32) encrypt256(key, source, target)
    else encrypt512(key, source, target)
  }
}

/** The column under the inverse of the MDS matrix. */
function unmix(x: u64): u64 {
  let result: u64 = 0
  for (let row: usize = 0; row < 8; row++) {
    result ^= load<u64>(INVERSE_MDS + (row << 11) + (((<usize>(x >> (row << 3))) & 0xff) << 3))
  }
  return result
}

/** Undoes the mixing, shifting and substitution of a round, from `state` to `target`. */
function unround(state: usize, target: usize, columns: u32): void {
  for (let column: u32 = 0; column < columns; column++) {
    const mixed = unmix(load<u64>(state + (column << 3)))
    for (let row: u32 = 0; row < 8; row++) {
      const from = (column + columns - ((row * columns) >> 3)) & (columns - 1)
      const byte = <usize>(mixed >> (row << 3)) & 0xff
      store<u8>(target + (from << 3) + row, load<u8>(INVERSE_S + ((row & 3) << 8) + byte))
    }
  }
}

/** Round by round on two blocks in the key area's tail: restoring by ECB is rare, so this is plain rather than fast. */
export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  const blockBytes = load<u32>(key)
  const rounds = load<u32>(key, 4)
  const columns = blockBytes >> 3
  const state = key + ROUND_KEYS + (rounds + 1) * blockBytes
  const next = state + blockBytes
  for (; blocks > 0; blocks--, source += blockBytes, target += blockBytes) {
    let at = key + ROUND_KEYS + rounds * blockBytes
    for (let i: u32 = 0; i < blockBytes; i += 8) store<u64>(state + i, load<u64>(source + i) - load<u64>(at + i))
    for (let round = rounds - 1; round > 0; round--) {
      at -= blockBytes
      unround(state, next, columns)
      for (let i: u32 = 0; i < blockBytes; i += 8) store<u64>(state + i, load<u64>(next + i) ^ load<u64>(at + i))
    }
    at -= blockBytes
    unround(state, next, columns)
    for (let i: u32 = 0; i < blockBytes; i += 8) store<u64>(target + i, load<u64>(next + i) - load<u64>(at + i))
  }
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, load<u32>(key), encrypt)
}
