// Threefish (Ferguson et al., "The Skein Hash Function Family", version 1.3, section 3.3) with 256, 512 and 1024-bit
// blocks. Four rounds bring every word back to its place, so rounds are written out by eight, the period of the rotation
// constants, and the permutation of words is in their names. A vector holds the same word of two blocks: no instruction
// turns its halves, but the three that do are for two. Subkeys are made by src/ciphers/threefish.ts.
import { ctrOver } from './shared/ctr'

// The expanded key: block bytes (u32), rounds / 8 (u32), then the subkeys, one block each.
const SUBKEYS: usize = 8

export function tables(): usize {
  return 0
}

// @ts-ignore: decorator
@inline
function rotate(x: v128, bits: i32): v128 {
  return v128.or(i64x2.shl(x, bits), i64x2.shr_u(x, 64 - bits))
}

/** The first words of the pairs at two places. */
// @ts-ignore: decorator
@inline
function firsts(a: usize, b: usize): v128 {
  return i64x2.shuffle(v128.load(a), v128.load(b), 0, 2)
}

/** The second words of the pairs at two places. */
// @ts-ignore: decorator
@inline
function seconds(a: usize, b: usize): v128 {
  return i64x2.shuffle(v128.load(a), v128.load(b), 1, 3)
}

/** Undoes `firsts` and `seconds`. */
// @ts-ignore: decorator
@inline
function save(a: usize, b: usize, x: v128, y: v128): void {
  v128.store(a, i64x2.shuffle(x, y, 0, 2))
  v128.store(b, i64x2.shuffle(x, y, 1, 3))
}

/** Up to four blocks, the last one `last` bytes from the first; it also stands in for those missing. */
function encrypt256(key: usize, source: usize, target: usize, last: usize): void {
  let a0 = firsts(source, source + min(32, last))
  let a1 = seconds(source, source + min(32, last))
  let a2 = firsts(source + 16, source + min(32, last) + 16)
  let a3 = seconds(source + 16, source + min(32, last) + 16)
  let b0 = firsts(source + min(64, last), source + min(96, last))
  let b1 = seconds(source + min(64, last), source + min(96, last))
  let b2 = firsts(source + min(64, last) + 16, source + min(96, last) + 16)
  let b3 = seconds(source + min(64, last) + 16, source + min(96, last) + 16)
  let at = key + SUBKEYS
  const end = at + load<u32>(key, 4) * 64
  for (; at < end; at += 64) {
    let k: v128
    k = v128.load64_splat(at, 0)
    a0 = i64x2.add(a0, k)
    b0 = i64x2.add(b0, k)
    k = v128.load64_splat(at, 8)
    a1 = i64x2.add(a1, k)
    b1 = i64x2.add(b1, k)
    k = v128.load64_splat(at, 16)
    a2 = i64x2.add(a2, k)
    b2 = i64x2.add(b2, k)
    k = v128.load64_splat(at, 24)
    a3 = i64x2.add(a3, k)
    b3 = i64x2.add(b3, k)
    a0 = i64x2.add(a0, a1)
    a1 = v128.xor(rotate(a1, 14), a0)
    b0 = i64x2.add(b0, b1)
    b1 = v128.xor(rotate(b1, 14), b0)
    a2 = i64x2.add(a2, a3)
    a3 = v128.xor(rotate(a3, 16), a2)
    b2 = i64x2.add(b2, b3)
    b3 = v128.xor(rotate(b3, 16), b2)
    a0 = i64x2.add(a0, a3)
    a3 = v128.xor(rotate(a3, 52), a0)
    b0 = i64x2.add(b0, b3)
    b3 = v128.xor(rotate(b3, 52), b0)
    a2 = i64x2.add(a2, a1)
    a1 = v128.xor(rotate(a1, 57), a2)
    b2 = i64x2.add(b2, b1)
    b1 = v128.xor(rotate(b1, 57), b2)
    a0 = i64x2.add(a0, a1)
    a1 = v128.xor(rotate(a1, 23), a0)
    b0 = i64x2.add(b0, b1)
    b1 = v128.xor(rotate(b1, 23), b0)
    a2 = i64x2.add(a2, a3)
    a3 = v128.xor(rotate(a3, 40), a2)
    b2 = i64x2.add(b2, b3)
    b3 = v128.xor(rotate(b3, 40), b2)
    a0 = i64x2.add(a0, a3)
    a3 = v128.xor(rotate(a3, 5), a0)
    b0 = i64x2.add(b0, b3)
    b3 = v128.xor(rotate(b3, 5), b0)
    a2 = i64x2.add(a2, a1)
    a1 = v128.xor(rotate(a1, 37), a2)
    b2 = i64x2.add(b2, b1)
    b1 = v128.xor(rotate(b1, 37), b2)
    k = v128.load64_splat(at, 32)
    a0 = i64x2.add(a0, k)
    b0 = i64x2.add(b0, k)
    k = v128.load64_splat(at, 40)
    a1 = i64x2.add(a1, k)
    b1 = i64x2.add(b1, k)
    k = v128.load64_splat(at, 48)
    a2 = i64x2.add(a2, k)
    b2 = i64x2.add(b2, k)
    k = v128.load64_splat(at, 56)
    a3 = i64x2.add(a3, k)
    b3 = i64x2.add(b3, k)
    a0 = i64x2.add(a0, a1)
    a1 = v128.xor(rotate(a1, 25), a0)
    b0 = i64x2.add(b0, b1)
    b1 = v128.xor(rotate(b1, 25), b0)
    a2 = i64x2.add(a2, a3)
    a3 = v128.xor(rotate(a3, 33), a2)
    b2 = i64x2.add(b2, b3)
    b3 = v128.xor(rotate(b3, 33), b2)
    a0 = i64x2.add(a0, a3)
    a3 = v128.xor(rotate(a3, 46), a0)
    b0 = i64x2.add(b0, b3)
    b3 = v128.xor(rotate(b3, 46), b0)
    a2 = i64x2.add(a2, a1)
    a1 = v128.xor(rotate(a1, 12), a2)
    b2 = i64x2.add(b2, b1)
    b1 = v128.xor(rotate(b1, 12), b2)
    a0 = i64x2.add(a0, a1)
    a1 = v128.xor(rotate(a1, 58), a0)
    b0 = i64x2.add(b0, b1)
    b1 = v128.xor(rotate(b1, 58), b0)
    a2 = i64x2.add(a2, a3)
    a3 = v128.xor(rotate(a3, 22), a2)
    b2 = i64x2.add(b2, b3)
    b3 = v128.xor(rotate(b3, 22), b2)
    a0 = i64x2.add(a0, a3)
    a3 = v128.xor(rotate(a3, 32), a0)
    b0 = i64x2.add(b0, b3)
    b3 = v128.xor(rotate(b3, 32), b0)
    a2 = i64x2.add(a2, a1)
    a1 = v128.xor(rotate(a1, 32), a2)
    b2 = i64x2.add(b2, b1)
    b1 = v128.xor(rotate(b1, 32), b2)
  }
  save(target, target + min(32, last), i64x2.add(a0, v128.load64_splat(at, 0)), i64x2.add(a1, v128.load64_splat(at, 8)))
  save(target + 16, target + min(32, last) + 16, i64x2.add(a2, v128.load64_splat(at, 16)), i64x2.add(a3, v128.load64_splat(at, 24)))
  save(target + min(64, last), target + min(96, last), i64x2.add(b0, v128.load64_splat(at, 0)), i64x2.add(b1, v128.load64_splat(at, 8)))
  save(target + min(64, last) + 16, target + min(96, last) + 16, i64x2.add(b2, v128.load64_splat(at, 16)), i64x2.add(b3, v128.load64_splat(at, 24)))
}

function decrypt256(key: usize, source: usize, target: usize): void {
  const start = key + SUBKEYS
  let at = start + load<u32>(key, 4) * 64
  let a0 = load<u64>(source, 0) - load<u64>(at, 0)
  let a1 = load<u64>(source, 8) - load<u64>(at, 8)
  let a2 = load<u64>(source, 16) - load<u64>(at, 16)
  let a3 = load<u64>(source, 24) - load<u64>(at, 24)
  while (at > start) {
    at -= 64
    a3 = rotr(a3 ^ a0, 32)
    a0 -= a3
    a1 = rotr(a1 ^ a2, 32)
    a2 -= a1
    a1 = rotr(a1 ^ a0, 58)
    a0 -= a1
    a3 = rotr(a3 ^ a2, 22)
    a2 -= a3
    a3 = rotr(a3 ^ a0, 46)
    a0 -= a3
    a1 = rotr(a1 ^ a2, 12)
    a2 -= a1
    a1 = rotr(a1 ^ a0, 25)
    a0 -= a1
    a3 = rotr(a3 ^ a2, 33)
    a2 -= a3
    a0 -= load<u64>(at, 32)
    a1 -= load<u64>(at, 40)
    a2 -= load<u64>(at, 48)
    a3 -= load<u64>(at, 56)
    a3 = rotr(a3 ^ a0, 5)
    a0 -= a3
    a1 = rotr(a1 ^ a2, 37)
    a2 -= a1
    a1 = rotr(a1 ^ a0, 23)
    a0 -= a1
    a3 = rotr(a3 ^ a2, 40)
    a2 -= a3
    a3 = rotr(a3 ^ a0, 52)
    a0 -= a3
    a1 = rotr(a1 ^ a2, 57)
    a2 -= a1
    a1 = rotr(a1 ^ a0, 14)
    a0 -= a1
    a3 = rotr(a3 ^ a2, 16)
    a2 -= a3
    a0 -= load<u64>(at, 0)
    a1 -= load<u64>(at, 8)
    a2 -= load<u64>(at, 16)
    a3 -= load<u64>(at, 24)
  }
  store<u64>(target, a0, 0)
  store<u64>(target, a1, 8)
  store<u64>(target, a2, 16)
  store<u64>(target, a3, 24)
}

/** Two blocks, `other` bytes apart. */
function encrypt512(key: usize, source: usize, target: usize, other: usize): void {
  let a0 = firsts(source, source + other)
  let a1 = seconds(source, source + other)
  let a2 = firsts(source + 16, source + other + 16)
  let a3 = seconds(source + 16, source + other + 16)
  let a4 = firsts(source + 32, source + other + 32)
  let a5 = seconds(source + 32, source + other + 32)
  let a6 = firsts(source + 48, source + other + 48)
  let a7 = seconds(source + 48, source + other + 48)
  let at = key + SUBKEYS
  const end = at + load<u32>(key, 4) * 128
  for (; at < end; at += 128) {
    a0 = i64x2.add(a0, v128.load64_splat(at, 0))
    a1 = i64x2.add(a1, v128.load64_splat(at, 8))
    a2 = i64x2.add(a2, v128.load64_splat(at, 16))
    a3 = i64x2.add(a3, v128.load64_splat(at, 24))
    a4 = i64x2.add(a4, v128.load64_splat(at, 32))
    a5 = i64x2.add(a5, v128.load64_splat(at, 40))
    a6 = i64x2.add(a6, v128.load64_splat(at, 48))
    a7 = i64x2.add(a7, v128.load64_splat(at, 56))
    a0 = i64x2.add(a0, a1)
    a1 = v128.xor(rotate(a1, 46), a0)
    a2 = i64x2.add(a2, a3)
    a3 = v128.xor(rotate(a3, 36), a2)
    a4 = i64x2.add(a4, a5)
    a5 = v128.xor(rotate(a5, 19), a4)
    a6 = i64x2.add(a6, a7)
    a7 = v128.xor(rotate(a7, 37), a6)
    a2 = i64x2.add(a2, a1)
    a1 = v128.xor(rotate(a1, 33), a2)
    a4 = i64x2.add(a4, a7)
    a7 = v128.xor(rotate(a7, 27), a4)
    a6 = i64x2.add(a6, a5)
    a5 = v128.xor(rotate(a5, 14), a6)
    a0 = i64x2.add(a0, a3)
    a3 = v128.xor(rotate(a3, 42), a0)
    a4 = i64x2.add(a4, a1)
    a1 = v128.xor(rotate(a1, 17), a4)
    a6 = i64x2.add(a6, a3)
    a3 = v128.xor(rotate(a3, 49), a6)
    a0 = i64x2.add(a0, a5)
    a5 = v128.xor(rotate(a5, 36), a0)
    a2 = i64x2.add(a2, a7)
    a7 = v128.xor(rotate(a7, 39), a2)
    a6 = i64x2.add(a6, a1)
    a1 = v128.xor(rotate(a1, 44), a6)
    a0 = i64x2.add(a0, a7)
    a7 = v128.xor(rotate(a7, 9), a0)
    a2 = i64x2.add(a2, a5)
    a5 = v128.xor(rotate(a5, 54), a2)
    a4 = i64x2.add(a4, a3)
    a3 = v128.xor(rotate(a3, 56), a4)
    a0 = i64x2.add(a0, v128.load64_splat(at, 64))
    a1 = i64x2.add(a1, v128.load64_splat(at, 72))
    a2 = i64x2.add(a2, v128.load64_splat(at, 80))
    a3 = i64x2.add(a3, v128.load64_splat(at, 88))
    a4 = i64x2.add(a4, v128.load64_splat(at, 96))
    a5 = i64x2.add(a5, v128.load64_splat(at, 104))
    a6 = i64x2.add(a6, v128.load64_splat(at, 112))
    a7 = i64x2.add(a7, v128.load64_splat(at, 120))
    a0 = i64x2.add(a0, a1)
    a1 = v128.xor(rotate(a1, 39), a0)
    a2 = i64x2.add(a2, a3)
    a3 = v128.xor(rotate(a3, 30), a2)
    a4 = i64x2.add(a4, a5)
    a5 = v128.xor(rotate(a5, 34), a4)
    a6 = i64x2.add(a6, a7)
    a7 = v128.xor(rotate(a7, 24), a6)
    a2 = i64x2.add(a2, a1)
    a1 = v128.xor(rotate(a1, 13), a2)
    a4 = i64x2.add(a4, a7)
    a7 = v128.xor(rotate(a7, 50), a4)
    a6 = i64x2.add(a6, a5)
    a5 = v128.xor(rotate(a5, 10), a6)
    a0 = i64x2.add(a0, a3)
    a3 = v128.xor(rotate(a3, 17), a0)
    a4 = i64x2.add(a4, a1)
    a1 = v128.xor(rotate(a1, 25), a4)
    a6 = i64x2.add(a6, a3)
    a3 = v128.xor(rotate(a3, 29), a6)
    a0 = i64x2.add(a0, a5)
    a5 = v128.xor(rotate(a5, 39), a0)
    a2 = i64x2.add(a2, a7)
    a7 = v128.xor(rotate(a7, 43), a2)
    a6 = i64x2.add(a6, a1)
    a1 = v128.xor(rotate(a1, 8), a6)
    a0 = i64x2.add(a0, a7)
    a7 = v128.xor(rotate(a7, 35), a0)
    a2 = i64x2.add(a2, a5)
    a5 = v128.xor(rotate(a5, 56), a2)
    a4 = i64x2.add(a4, a3)
    a3 = v128.xor(rotate(a3, 22), a4)
  }
  save(target, target + other, i64x2.add(a0, v128.load64_splat(at, 0)), i64x2.add(a1, v128.load64_splat(at, 8)))
  save(target + 16, target + other + 16, i64x2.add(a2, v128.load64_splat(at, 16)), i64x2.add(a3, v128.load64_splat(at, 24)))
  save(target + 32, target + other + 32, i64x2.add(a4, v128.load64_splat(at, 32)), i64x2.add(a5, v128.load64_splat(at, 40)))
  save(target + 48, target + other + 48, i64x2.add(a6, v128.load64_splat(at, 48)), i64x2.add(a7, v128.load64_splat(at, 56)))
}

function decrypt512(key: usize, source: usize, target: usize): void {
  const start = key + SUBKEYS
  let at = start + load<u32>(key, 4) * 128
  let a0 = load<u64>(source, 0) - load<u64>(at, 0)
  let a1 = load<u64>(source, 8) - load<u64>(at, 8)
  let a2 = load<u64>(source, 16) - load<u64>(at, 16)
  let a3 = load<u64>(source, 24) - load<u64>(at, 24)
  let a4 = load<u64>(source, 32) - load<u64>(at, 32)
  let a5 = load<u64>(source, 40) - load<u64>(at, 40)
  let a6 = load<u64>(source, 48) - load<u64>(at, 48)
  let a7 = load<u64>(source, 56) - load<u64>(at, 56)
  while (at > start) {
    at -= 128
    a1 = rotr(a1 ^ a6, 8)
    a6 -= a1
    a7 = rotr(a7 ^ a0, 35)
    a0 -= a7
    a5 = rotr(a5 ^ a2, 56)
    a2 -= a5
    a3 = rotr(a3 ^ a4, 22)
    a4 -= a3
    a1 = rotr(a1 ^ a4, 25)
    a4 -= a1
    a3 = rotr(a3 ^ a6, 29)
    a6 -= a3
    a5 = rotr(a5 ^ a0, 39)
    a0 -= a5
    a7 = rotr(a7 ^ a2, 43)
    a2 -= a7
    a1 = rotr(a1 ^ a2, 13)
    a2 -= a1
    a7 = rotr(a7 ^ a4, 50)
    a4 -= a7
    a5 = rotr(a5 ^ a6, 10)
    a6 -= a5
    a3 = rotr(a3 ^ a0, 17)
    a0 -= a3
    a1 = rotr(a1 ^ a0, 39)
    a0 -= a1
    a3 = rotr(a3 ^ a2, 30)
    a2 -= a3
    a5 = rotr(a5 ^ a4, 34)
    a4 -= a5
    a7 = rotr(a7 ^ a6, 24)
    a6 -= a7
    a0 -= load<u64>(at, 64)
    a1 -= load<u64>(at, 72)
    a2 -= load<u64>(at, 80)
    a3 -= load<u64>(at, 88)
    a4 -= load<u64>(at, 96)
    a5 -= load<u64>(at, 104)
    a6 -= load<u64>(at, 112)
    a7 -= load<u64>(at, 120)
    a1 = rotr(a1 ^ a6, 44)
    a6 -= a1
    a7 = rotr(a7 ^ a0, 9)
    a0 -= a7
    a5 = rotr(a5 ^ a2, 54)
    a2 -= a5
    a3 = rotr(a3 ^ a4, 56)
    a4 -= a3
    a1 = rotr(a1 ^ a4, 17)
    a4 -= a1
    a3 = rotr(a3 ^ a6, 49)
    a6 -= a3
    a5 = rotr(a5 ^ a0, 36)
    a0 -= a5
    a7 = rotr(a7 ^ a2, 39)
    a2 -= a7
    a1 = rotr(a1 ^ a2, 33)
    a2 -= a1
    a7 = rotr(a7 ^ a4, 27)
    a4 -= a7
    a5 = rotr(a5 ^ a6, 14)
    a6 -= a5
    a3 = rotr(a3 ^ a0, 42)
    a0 -= a3
    a1 = rotr(a1 ^ a0, 46)
    a0 -= a1
    a3 = rotr(a3 ^ a2, 36)
    a2 -= a3
    a5 = rotr(a5 ^ a4, 19)
    a4 -= a5
    a7 = rotr(a7 ^ a6, 37)
    a6 -= a7
    a0 -= load<u64>(at, 0)
    a1 -= load<u64>(at, 8)
    a2 -= load<u64>(at, 16)
    a3 -= load<u64>(at, 24)
    a4 -= load<u64>(at, 32)
    a5 -= load<u64>(at, 40)
    a6 -= load<u64>(at, 48)
    a7 -= load<u64>(at, 56)
  }
  store<u64>(target, a0, 0)
  store<u64>(target, a1, 8)
  store<u64>(target, a2, 16)
  store<u64>(target, a3, 24)
  store<u64>(target, a4, 32)
  store<u64>(target, a5, 40)
  store<u64>(target, a6, 48)
  store<u64>(target, a7, 56)
}

/** Two blocks, `other` bytes apart. */
function encrypt1024(key: usize, source: usize, target: usize, other: usize): void {
  let a0 = firsts(source, source + other)
  let a1 = seconds(source, source + other)
  let a2 = firsts(source + 16, source + other + 16)
  let a3 = seconds(source + 16, source + other + 16)
  let a4 = firsts(source + 32, source + other + 32)
  let a5 = seconds(source + 32, source + other + 32)
  let a6 = firsts(source + 48, source + other + 48)
  let a7 = seconds(source + 48, source + other + 48)
  let a8 = firsts(source + 64, source + other + 64)
  let a9 = seconds(source + 64, source + other + 64)
  let a10 = firsts(source + 80, source + other + 80)
  let a11 = seconds(source + 80, source + other + 80)
  let a12 = firsts(source + 96, source + other + 96)
  let a13 = seconds(source + 96, source + other + 96)
  let a14 = firsts(source + 112, source + other + 112)
  let a15 = seconds(source + 112, source + other + 112)
  let at = key + SUBKEYS
  const end = at + load<u32>(key, 4) * 256
  for (; at < end; at += 256) {
    a0 = i64x2.add(a0, v128.load64_splat(at, 0))
    a1 = i64x2.add(a1, v128.load64_splat(at, 8))
    a2 = i64x2.add(a2, v128.load64_splat(at, 16))
    a3 = i64x2.add(a3, v128.load64_splat(at, 24))
    a4 = i64x2.add(a4, v128.load64_splat(at, 32))
    a5 = i64x2.add(a5, v128.load64_splat(at, 40))
    a6 = i64x2.add(a6, v128.load64_splat(at, 48))
    a7 = i64x2.add(a7, v128.load64_splat(at, 56))
    a8 = i64x2.add(a8, v128.load64_splat(at, 64))
    a9 = i64x2.add(a9, v128.load64_splat(at, 72))
    a10 = i64x2.add(a10, v128.load64_splat(at, 80))
    a11 = i64x2.add(a11, v128.load64_splat(at, 88))
    a12 = i64x2.add(a12, v128.load64_splat(at, 96))
    a13 = i64x2.add(a13, v128.load64_splat(at, 104))
    a14 = i64x2.add(a14, v128.load64_splat(at, 112))
    a15 = i64x2.add(a15, v128.load64_splat(at, 120))
    a0 = i64x2.add(a0, a1)
    a1 = v128.xor(rotate(a1, 24), a0)
    a2 = i64x2.add(a2, a3)
    a3 = v128.xor(rotate(a3, 13), a2)
    a4 = i64x2.add(a4, a5)
    a5 = v128.xor(rotate(a5, 8), a4)
    a6 = i64x2.add(a6, a7)
    a7 = v128.xor(rotate(a7, 47), a6)
    a8 = i64x2.add(a8, a9)
    a9 = v128.xor(rotate(a9, 8), a8)
    a10 = i64x2.add(a10, a11)
    a11 = v128.xor(rotate(a11, 17), a10)
    a12 = i64x2.add(a12, a13)
    a13 = v128.xor(rotate(a13, 22), a12)
    a14 = i64x2.add(a14, a15)
    a15 = v128.xor(rotate(a15, 37), a14)
    a0 = i64x2.add(a0, a9)
    a9 = v128.xor(rotate(a9, 38), a0)
    a2 = i64x2.add(a2, a13)
    a13 = v128.xor(rotate(a13, 19), a2)
    a6 = i64x2.add(a6, a11)
    a11 = v128.xor(rotate(a11, 10), a6)
    a4 = i64x2.add(a4, a15)
    a15 = v128.xor(rotate(a15, 55), a4)
    a10 = i64x2.add(a10, a7)
    a7 = v128.xor(rotate(a7, 49), a10)
    a12 = i64x2.add(a12, a3)
    a3 = v128.xor(rotate(a3, 18), a12)
    a14 = i64x2.add(a14, a5)
    a5 = v128.xor(rotate(a5, 23), a14)
    a8 = i64x2.add(a8, a1)
    a1 = v128.xor(rotate(a1, 52), a8)
    a0 = i64x2.add(a0, a7)
    a7 = v128.xor(rotate(a7, 33), a0)
    a2 = i64x2.add(a2, a5)
    a5 = v128.xor(rotate(a5, 4), a2)
    a4 = i64x2.add(a4, a3)
    a3 = v128.xor(rotate(a3, 51), a4)
    a6 = i64x2.add(a6, a1)
    a1 = v128.xor(rotate(a1, 13), a6)
    a12 = i64x2.add(a12, a15)
    a15 = v128.xor(rotate(a15, 34), a12)
    a14 = i64x2.add(a14, a13)
    a13 = v128.xor(rotate(a13, 41), a14)
    a8 = i64x2.add(a8, a11)
    a11 = v128.xor(rotate(a11, 59), a8)
    a10 = i64x2.add(a10, a9)
    a9 = v128.xor(rotate(a9, 17), a10)
    a0 = i64x2.add(a0, a15)
    a15 = v128.xor(rotate(a15, 5), a0)
    a2 = i64x2.add(a2, a11)
    a11 = v128.xor(rotate(a11, 20), a2)
    a6 = i64x2.add(a6, a13)
    a13 = v128.xor(rotate(a13, 48), a6)
    a4 = i64x2.add(a4, a9)
    a9 = v128.xor(rotate(a9, 41), a4)
    a14 = i64x2.add(a14, a1)
    a1 = v128.xor(rotate(a1, 47), a14)
    a8 = i64x2.add(a8, a5)
    a5 = v128.xor(rotate(a5, 28), a8)
    a10 = i64x2.add(a10, a3)
    a3 = v128.xor(rotate(a3, 16), a10)
    a12 = i64x2.add(a12, a7)
    a7 = v128.xor(rotate(a7, 25), a12)
    a0 = i64x2.add(a0, v128.load64_splat(at, 128))
    a1 = i64x2.add(a1, v128.load64_splat(at, 136))
    a2 = i64x2.add(a2, v128.load64_splat(at, 144))
    a3 = i64x2.add(a3, v128.load64_splat(at, 152))
    a4 = i64x2.add(a4, v128.load64_splat(at, 160))
    a5 = i64x2.add(a5, v128.load64_splat(at, 168))
    a6 = i64x2.add(a6, v128.load64_splat(at, 176))
    a7 = i64x2.add(a7, v128.load64_splat(at, 184))
    a8 = i64x2.add(a8, v128.load64_splat(at, 192))
    a9 = i64x2.add(a9, v128.load64_splat(at, 200))
    a10 = i64x2.add(a10, v128.load64_splat(at, 208))
    a11 = i64x2.add(a11, v128.load64_splat(at, 216))
    a12 = i64x2.add(a12, v128.load64_splat(at, 224))
    a13 = i64x2.add(a13, v128.load64_splat(at, 232))
    a14 = i64x2.add(a14, v128.load64_splat(at, 240))
    a15 = i64x2.add(a15, v128.load64_splat(at, 248))
    a0 = i64x2.add(a0, a1)
    a1 = v128.xor(rotate(a1, 41), a0)
    a2 = i64x2.add(a2, a3)
    a3 = v128.xor(rotate(a3, 9), a2)
    a4 = i64x2.add(a4, a5)
    a5 = v128.xor(rotate(a5, 37), a4)
    a6 = i64x2.add(a6, a7)
    a7 = v128.xor(rotate(a7, 31), a6)
    a8 = i64x2.add(a8, a9)
    a9 = v128.xor(rotate(a9, 12), a8)
    a10 = i64x2.add(a10, a11)
    a11 = v128.xor(rotate(a11, 47), a10)
    a12 = i64x2.add(a12, a13)
    a13 = v128.xor(rotate(a13, 44), a12)
    a14 = i64x2.add(a14, a15)
    a15 = v128.xor(rotate(a15, 30), a14)
    a0 = i64x2.add(a0, a9)
    a9 = v128.xor(rotate(a9, 16), a0)
    a2 = i64x2.add(a2, a13)
    a13 = v128.xor(rotate(a13, 34), a2)
    a6 = i64x2.add(a6, a11)
    a11 = v128.xor(rotate(a11, 56), a6)
    a4 = i64x2.add(a4, a15)
    a15 = v128.xor(rotate(a15, 51), a4)
    a10 = i64x2.add(a10, a7)
    a7 = v128.xor(rotate(a7, 4), a10)
    a12 = i64x2.add(a12, a3)
    a3 = v128.xor(rotate(a3, 53), a12)
    a14 = i64x2.add(a14, a5)
    a5 = v128.xor(rotate(a5, 42), a14)
    a8 = i64x2.add(a8, a1)
    a1 = v128.xor(rotate(a1, 41), a8)
    a0 = i64x2.add(a0, a7)
    a7 = v128.xor(rotate(a7, 31), a0)
    a2 = i64x2.add(a2, a5)
    a5 = v128.xor(rotate(a5, 44), a2)
    a4 = i64x2.add(a4, a3)
    a3 = v128.xor(rotate(a3, 47), a4)
    a6 = i64x2.add(a6, a1)
    a1 = v128.xor(rotate(a1, 46), a6)
    a12 = i64x2.add(a12, a15)
    a15 = v128.xor(rotate(a15, 19), a12)
    a14 = i64x2.add(a14, a13)
    a13 = v128.xor(rotate(a13, 42), a14)
    a8 = i64x2.add(a8, a11)
    a11 = v128.xor(rotate(a11, 44), a8)
    a10 = i64x2.add(a10, a9)
    a9 = v128.xor(rotate(a9, 25), a10)
    a0 = i64x2.add(a0, a15)
    a15 = v128.xor(rotate(a15, 9), a0)
    a2 = i64x2.add(a2, a11)
    a11 = v128.xor(rotate(a11, 48), a2)
    a6 = i64x2.add(a6, a13)
    a13 = v128.xor(rotate(a13, 35), a6)
    a4 = i64x2.add(a4, a9)
    a9 = v128.xor(rotate(a9, 52), a4)
    a14 = i64x2.add(a14, a1)
    a1 = v128.xor(rotate(a1, 23), a14)
    a8 = i64x2.add(a8, a5)
    a5 = v128.xor(rotate(a5, 31), a8)
    a10 = i64x2.add(a10, a3)
    a3 = v128.xor(rotate(a3, 37), a10)
    a12 = i64x2.add(a12, a7)
    a7 = v128.xor(rotate(a7, 20), a12)
  }
  save(target, target + other, i64x2.add(a0, v128.load64_splat(at, 0)), i64x2.add(a1, v128.load64_splat(at, 8)))
  save(target + 16, target + other + 16, i64x2.add(a2, v128.load64_splat(at, 16)), i64x2.add(a3, v128.load64_splat(at, 24)))
  save(target + 32, target + other + 32, i64x2.add(a4, v128.load64_splat(at, 32)), i64x2.add(a5, v128.load64_splat(at, 40)))
  save(target + 48, target + other + 48, i64x2.add(a6, v128.load64_splat(at, 48)), i64x2.add(a7, v128.load64_splat(at, 56)))
  save(target + 64, target + other + 64, i64x2.add(a8, v128.load64_splat(at, 64)), i64x2.add(a9, v128.load64_splat(at, 72)))
  save(target + 80, target + other + 80, i64x2.add(a10, v128.load64_splat(at, 80)), i64x2.add(a11, v128.load64_splat(at, 88)))
  save(target + 96, target + other + 96, i64x2.add(a12, v128.load64_splat(at, 96)), i64x2.add(a13, v128.load64_splat(at, 104)))
  save(target + 112, target + other + 112, i64x2.add(a14, v128.load64_splat(at, 112)), i64x2.add(a15, v128.load64_splat(at, 120)))
}

function decrypt1024(key: usize, source: usize, target: usize): void {
  const start = key + SUBKEYS
  let at = start + load<u32>(key, 4) * 256
  let a0 = load<u64>(source, 0) - load<u64>(at, 0)
  let a1 = load<u64>(source, 8) - load<u64>(at, 8)
  let a2 = load<u64>(source, 16) - load<u64>(at, 16)
  let a3 = load<u64>(source, 24) - load<u64>(at, 24)
  let a4 = load<u64>(source, 32) - load<u64>(at, 32)
  let a5 = load<u64>(source, 40) - load<u64>(at, 40)
  let a6 = load<u64>(source, 48) - load<u64>(at, 48)
  let a7 = load<u64>(source, 56) - load<u64>(at, 56)
  let a8 = load<u64>(source, 64) - load<u64>(at, 64)
  let a9 = load<u64>(source, 72) - load<u64>(at, 72)
  let a10 = load<u64>(source, 80) - load<u64>(at, 80)
  let a11 = load<u64>(source, 88) - load<u64>(at, 88)
  let a12 = load<u64>(source, 96) - load<u64>(at, 96)
  let a13 = load<u64>(source, 104) - load<u64>(at, 104)
  let a14 = load<u64>(source, 112) - load<u64>(at, 112)
  let a15 = load<u64>(source, 120) - load<u64>(at, 120)
  while (at > start) {
    at -= 256
    a15 = rotr(a15 ^ a0, 9)
    a0 -= a15
    a11 = rotr(a11 ^ a2, 48)
    a2 -= a11
    a13 = rotr(a13 ^ a6, 35)
    a6 -= a13
    a9 = rotr(a9 ^ a4, 52)
    a4 -= a9
    a1 = rotr(a1 ^ a14, 23)
    a14 -= a1
    a5 = rotr(a5 ^ a8, 31)
    a8 -= a5
    a3 = rotr(a3 ^ a10, 37)
    a10 -= a3
    a7 = rotr(a7 ^ a12, 20)
    a12 -= a7
    a7 = rotr(a7 ^ a0, 31)
    a0 -= a7
    a5 = rotr(a5 ^ a2, 44)
    a2 -= a5
    a3 = rotr(a3 ^ a4, 47)
    a4 -= a3
    a1 = rotr(a1 ^ a6, 46)
    a6 -= a1
    a15 = rotr(a15 ^ a12, 19)
    a12 -= a15
    a13 = rotr(a13 ^ a14, 42)
    a14 -= a13
    a11 = rotr(a11 ^ a8, 44)
    a8 -= a11
    a9 = rotr(a9 ^ a10, 25)
    a10 -= a9
    a9 = rotr(a9 ^ a0, 16)
    a0 -= a9
    a13 = rotr(a13 ^ a2, 34)
    a2 -= a13
    a11 = rotr(a11 ^ a6, 56)
    a6 -= a11
    a15 = rotr(a15 ^ a4, 51)
    a4 -= a15
    a7 = rotr(a7 ^ a10, 4)
    a10 -= a7
    a3 = rotr(a3 ^ a12, 53)
    a12 -= a3
    a5 = rotr(a5 ^ a14, 42)
    a14 -= a5
    a1 = rotr(a1 ^ a8, 41)
    a8 -= a1
    a1 = rotr(a1 ^ a0, 41)
    a0 -= a1
    a3 = rotr(a3 ^ a2, 9)
    a2 -= a3
    a5 = rotr(a5 ^ a4, 37)
    a4 -= a5
    a7 = rotr(a7 ^ a6, 31)
    a6 -= a7
    a9 = rotr(a9 ^ a8, 12)
    a8 -= a9
    a11 = rotr(a11 ^ a10, 47)
    a10 -= a11
    a13 = rotr(a13 ^ a12, 44)
    a12 -= a13
    a15 = rotr(a15 ^ a14, 30)
    a14 -= a15
    a0 -= load<u64>(at, 128)
    a1 -= load<u64>(at, 136)
    a2 -= load<u64>(at, 144)
    a3 -= load<u64>(at, 152)
    a4 -= load<u64>(at, 160)
    a5 -= load<u64>(at, 168)
    a6 -= load<u64>(at, 176)
    a7 -= load<u64>(at, 184)
    a8 -= load<u64>(at, 192)
    a9 -= load<u64>(at, 200)
    a10 -= load<u64>(at, 208)
    a11 -= load<u64>(at, 216)
    a12 -= load<u64>(at, 224)
    a13 -= load<u64>(at, 232)
    a14 -= load<u64>(at, 240)
    a15 -= load<u64>(at, 248)
    a15 = rotr(a15 ^ a0, 5)
    a0 -= a15
    a11 = rotr(a11 ^ a2, 20)
    a2 -= a11
    a13 = rotr(a13 ^ a6, 48)
    a6 -= a13
    a9 = rotr(a9 ^ a4, 41)
    a4 -= a9
    a1 = rotr(a1 ^ a14, 47)
    a14 -= a1
    a5 = rotr(a5 ^ a8, 28)
    a8 -= a5
    a3 = rotr(a3 ^ a10, 16)
    a10 -= a3
    a7 = rotr(a7 ^ a12, 25)
    a12 -= a7
    a7 = rotr(a7 ^ a0, 33)
    a0 -= a7
    a5 = rotr(a5 ^ a2, 4)
    a2 -= a5
    a3 = rotr(a3 ^ a4, 51)
    a4 -= a3
    a1 = rotr(a1 ^ a6, 13)
    a6 -= a1
    a15 = rotr(a15 ^ a12, 34)
    a12 -= a15
    a13 = rotr(a13 ^ a14, 41)
    a14 -= a13
    a11 = rotr(a11 ^ a8, 59)
    a8 -= a11
    a9 = rotr(a9 ^ a10, 17)
    a10 -= a9
    a9 = rotr(a9 ^ a0, 38)
    a0 -= a9
    a13 = rotr(a13 ^ a2, 19)
    a2 -= a13
    a11 = rotr(a11 ^ a6, 10)
    a6 -= a11
    a15 = rotr(a15 ^ a4, 55)
    a4 -= a15
    a7 = rotr(a7 ^ a10, 49)
    a10 -= a7
    a3 = rotr(a3 ^ a12, 18)
    a12 -= a3
    a5 = rotr(a5 ^ a14, 23)
    a14 -= a5
    a1 = rotr(a1 ^ a8, 52)
    a8 -= a1
    a1 = rotr(a1 ^ a0, 24)
    a0 -= a1
    a3 = rotr(a3 ^ a2, 13)
    a2 -= a3
    a5 = rotr(a5 ^ a4, 8)
    a4 -= a5
    a7 = rotr(a7 ^ a6, 47)
    a6 -= a7
    a9 = rotr(a9 ^ a8, 8)
    a8 -= a9
    a11 = rotr(a11 ^ a10, 17)
    a10 -= a11
    a13 = rotr(a13 ^ a12, 22)
    a12 -= a13
    a15 = rotr(a15 ^ a14, 37)
    a14 -= a15
    a0 -= load<u64>(at, 0)
    a1 -= load<u64>(at, 8)
    a2 -= load<u64>(at, 16)
    a3 -= load<u64>(at, 24)
    a4 -= load<u64>(at, 32)
    a5 -= load<u64>(at, 40)
    a6 -= load<u64>(at, 48)
    a7 -= load<u64>(at, 56)
    a8 -= load<u64>(at, 64)
    a9 -= load<u64>(at, 72)
    a10 -= load<u64>(at, 80)
    a11 -= load<u64>(at, 88)
    a12 -= load<u64>(at, 96)
    a13 -= load<u64>(at, 104)
    a14 -= load<u64>(at, 112)
    a15 -= load<u64>(at, 120)
  }
  store<u64>(target, a0, 0)
  store<u64>(target, a1, 8)
  store<u64>(target, a2, 16)
  store<u64>(target, a3, 24)
  store<u64>(target, a4, 32)
  store<u64>(target, a5, 40)
  store<u64>(target, a6, 48)
  store<u64>(target, a7, 56)
  store<u64>(target, a8, 64)
  store<u64>(target, a9, 72)
  store<u64>(target, a10, 80)
  store<u64>(target, a11, 88)
  store<u64>(target, a12, 96)
  store<u64>(target, a13, 104)
  store<u64>(target, a14, 112)
  store<u64>(target, a15, 120)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  const blockBytes = load<u32>(key)
  if (blockBytes === 32) {
    for (; blocks > 4; blocks -= 4, source += 128, target += 128) encrypt256(key, source, target, 96)
    if (blocks > 0) encrypt256(key, source, target, (blocks - 1) << 5)
    return
  }
  for (let left = <i32>blocks; left > 0; left -= 2, source += 2 * blockBytes, target += 2 * blockBytes) {
    // An odd last block runs twice rather than through a second copy of the code.
    const other = left > 1 ? blockBytes : 0
    if (blockBytes === 64) encrypt512(key, source, target, other)
    else encrypt1024(key, source, target, other)
  }
}

export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  const blockBytes = load<u32>(key)
  for (; blocks > 0; blocks--, source += blockBytes, target += blockBytes) {
    if (blockBytes === 32) decrypt256(key, source, target)
    else if (blockBytes === 64) decrypt512(key, source, target)
    else decrypt1024(key, source, target)
  }
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, load<u32>(key), encrypt)
}
