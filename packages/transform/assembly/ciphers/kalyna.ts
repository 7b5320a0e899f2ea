// Kalyna (DSTU 7624:2014) with 128, 256 and 512-bit blocks by eight tables of S-box and MDS matrix: a column of the next
// state is eight look-ups of 64 bits. Columns are little-endian, two, four or eight of them.
import { ctrOver } from './shared/ctr'

// Eight tables of 256 u64; eight tables of the inverse matrix alone; four inverse S-boxes (256 bytes each): see
// src/ciphers/kalyna.ts.
const T: usize = memory.data(33792, 16)
const INVERSE_MDS: usize = T + 16384
const INVERSE_S: usize = T + 32768

// The expanded key: block bytes (u32), rounds (u32), then the round keys, one block each.
const ROUND_KEYS: usize = 8

export function tables(): usize {
  return T
}

// @ts-ignore: decorator
@inline
function row0(x: u64): u64 {
  return load<u64>(T + ((<u32>x << 3) & 0x7f8), 0)
}

// @ts-ignore: decorator
@inline
function row1(x: u64): u64 {
  return load<u64>(T + ((<u32>x >> 5) & 0x7f8), 2048)
}

// @ts-ignore: decorator
@inline
function row2(x: u64): u64 {
  return load<u64>(T + ((<u32>x >> 13) & 0x7f8), 4096)
}

// @ts-ignore: decorator
@inline
function row3(x: u64): u64 {
  return load<u64>(T + ((<u32>x >> 21) & 0x7f8), 6144)
}

// @ts-ignore: decorator
@inline
function row4(x: u64): u64 {
  return load<u64>(T + ((<u32>(x >> 32) << 3) & 0x7f8), 8192)
}

// @ts-ignore: decorator
@inline
function row5(x: u64): u64 {
  return load<u64>(T + ((<u32>(x >> 32) >> 5) & 0x7f8), 10240)
}

// @ts-ignore: decorator
@inline
function row6(x: u64): u64 {
  return load<u64>(T + ((<u32>(x >> 32) >> 13) & 0x7f8), 12288)
}

// @ts-ignore: decorator
@inline
function row7(x: u64): u64 {
  return load<u64>(T + ((<u32>(x >> 32) >> 21) & 0x7f8), 14336)
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
    const aa0 = row0(a0) ^ row1(a0) ^ row2(a0) ^ row3(a0) ^ row4(a1) ^ row5(a1) ^ row6(a1) ^ row7(a1)
    const aa1 = row0(a1) ^ row1(a1) ^ row2(a1) ^ row3(a1) ^ row4(a0) ^ row5(a0) ^ row6(a0) ^ row7(a0)
    const bb0 = row0(b0) ^ row1(b0) ^ row2(b0) ^ row3(b0) ^ row4(b1) ^ row5(b1) ^ row6(b1) ^ row7(b1)
    const bb1 = row0(b1) ^ row1(b1) ^ row2(b1) ^ row3(b1) ^ row4(b0) ^ row5(b0) ^ row6(b0) ^ row7(b0)
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
    const aa0 = row0(a0) ^ row1(a0) ^ row2(a3) ^ row3(a3) ^ row4(a2) ^ row5(a2) ^ row6(a1) ^ row7(a1)
    const aa1 = row0(a1) ^ row1(a1) ^ row2(a0) ^ row3(a0) ^ row4(a3) ^ row5(a3) ^ row6(a2) ^ row7(a2)
    const aa2 = row0(a2) ^ row1(a2) ^ row2(a1) ^ row3(a1) ^ row4(a0) ^ row5(a0) ^ row6(a3) ^ row7(a3)
    const aa3 = row0(a3) ^ row1(a3) ^ row2(a2) ^ row3(a2) ^ row4(a1) ^ row5(a1) ^ row6(a0) ^ row7(a0)
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
    const aa0 = row0(a0) ^ row1(a7) ^ row2(a6) ^ row3(a5) ^ row4(a4) ^ row5(a3) ^ row6(a2) ^ row7(a1)
    const aa1 = row0(a1) ^ row1(a0) ^ row2(a7) ^ row3(a6) ^ row4(a5) ^ row5(a4) ^ row6(a3) ^ row7(a2)
    const aa2 = row0(a2) ^ row1(a1) ^ row2(a0) ^ row3(a7) ^ row4(a6) ^ row5(a5) ^ row6(a4) ^ row7(a3)
    const aa3 = row0(a3) ^ row1(a2) ^ row2(a1) ^ row3(a0) ^ row4(a7) ^ row5(a6) ^ row6(a5) ^ row7(a4)
    const aa4 = row0(a4) ^ row1(a3) ^ row2(a2) ^ row3(a1) ^ row4(a0) ^ row5(a7) ^ row6(a6) ^ row7(a5)
    const aa5 = row0(a5) ^ row1(a4) ^ row2(a3) ^ row3(a2) ^ row4(a1) ^ row5(a0) ^ row6(a7) ^ row7(a6)
    const aa6 = row0(a6) ^ row1(a5) ^ row2(a4) ^ row3(a3) ^ row4(a2) ^ row5(a1) ^ row6(a0) ^ row7(a7)
    const aa7 = row0(a7) ^ row1(a6) ^ row2(a5) ^ row3(a4) ^ row4(a3) ^ row5(a2) ^ row6(a1) ^ row7(a0)
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
