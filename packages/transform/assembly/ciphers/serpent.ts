// Serpent (Anderson, Biham, Knudsen, "Serpent: A Proposal for the Advanced Encryption Standard"), bitsliced: a vector
// holds the same word of four blocks, and the S-boxes are circuits of boolean gates. The circuits were searched for by
// program from the S-box tables of the proposal. Those for encryption compute the S-box with some inputs and outputs
// complemented, which saves gates and is made good in the round keys (see src/ciphers/serpent.ts). Words are
// little-endian, as in NESSIE's vectors.
// No look-ups: its time does not depend on key or data.
import { ctrOver } from './shared/ctr'

// The expanded key: 33 round keys of four vectors, a word in all four lanes of each; in a second part those for decryption.
const DECRYPTION_KEYS: usize = 2112

export function tables(): usize {
  return 0
}

// @ts-ignore: decorator
@inline
function rotateLeft(value: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(value, bits), i32x4.shr_u(value, 32 - bits))
}

/**
 * Up to twelve blocks, the last one `last` bytes from the first; it also stands in for those missing. Three sets of
 * four take turns, since the gates of one wait for each other. V8's scheduler would line up all rounds of one set before
 * the others', out of reach of the processor's window, and spill the keys between: the stores of unfinished state into the
 * target, which hold it to the order written here, make this half as fast again.
 */
function encryptTwelve(key: usize, source: usize, target: usize, last: usize): void {
  let low01: v128
  let low23: v128
  let high01: v128
  let high23: v128
  low01 = i32x4.shuffle(v128.load(source), v128.load(source + min(16, last)), 0, 4, 1, 5)
  high01 = i32x4.shuffle(v128.load(source), v128.load(source + min(16, last)), 2, 6, 3, 7)
  low23 = i32x4.shuffle(v128.load(source + min(32, last)), v128.load(source + min(48, last)), 0, 4, 1, 5)
  high23 = i32x4.shuffle(v128.load(source + min(32, last)), v128.load(source + min(48, last)), 2, 6, 3, 7)
  let x0 = i64x2.shuffle(low01, low23, 0, 2)
  let x1 = i64x2.shuffle(low01, low23, 1, 3)
  let x2 = i64x2.shuffle(high01, high23, 0, 2)
  let x3 = i64x2.shuffle(high01, high23, 1, 3)
  low01 = i32x4.shuffle(v128.load(source + min(64, last)), v128.load(source + min(80, last)), 0, 4, 1, 5)
  high01 = i32x4.shuffle(v128.load(source + min(64, last)), v128.load(source + min(80, last)), 2, 6, 3, 7)
  low23 = i32x4.shuffle(v128.load(source + min(96, last)), v128.load(source + min(112, last)), 0, 4, 1, 5)
  high23 = i32x4.shuffle(v128.load(source + min(96, last)), v128.load(source + min(112, last)), 2, 6, 3, 7)
  let y0 = i64x2.shuffle(low01, low23, 0, 2)
  let y1 = i64x2.shuffle(low01, low23, 1, 3)
  let y2 = i64x2.shuffle(high01, high23, 0, 2)
  let y3 = i64x2.shuffle(high01, high23, 1, 3)
  low01 = i32x4.shuffle(v128.load(source + min(128, last)), v128.load(source + min(144, last)), 0, 4, 1, 5)
  high01 = i32x4.shuffle(v128.load(source + min(128, last)), v128.load(source + min(144, last)), 2, 6, 3, 7)
  low23 = i32x4.shuffle(v128.load(source + min(160, last)), v128.load(source + min(176, last)), 0, 4, 1, 5)
  high23 = i32x4.shuffle(v128.load(source + min(160, last)), v128.load(source + min(176, last)), 2, 6, 3, 7)
  let z0 = i64x2.shuffle(low01, low23, 0, 2)
  let z1 = i64x2.shuffle(low01, low23, 1, 3)
  let z2 = i64x2.shuffle(high01, high23, 0, 2)
  let z3 = i64x2.shuffle(high01, high23, 1, 3)
  let k: v128
  const end = key + 2048
  for (let at = key; ; ) {
    k = v128.load(at, 0)
    x0 = v128.xor(x0, k)
    y0 = v128.xor(y0, k)
    z0 = v128.xor(z0, k)
    k = v128.load(at, 16)
    x1 = v128.xor(x1, k)
    y1 = v128.xor(y1, k)
    z1 = v128.xor(z1, k)
    k = v128.load(at, 32)
    x2 = v128.xor(x2, k)
    y2 = v128.xor(y2, k)
    z2 = v128.xor(z2, k)
    k = v128.load(at, 48)
    x3 = v128.xor(x3, k)
    y3 = v128.xor(y3, k)
    z3 = v128.xor(z3, k)
    {
      // S0
      const t0 = v128.xor(x0, x1)
      const t1 = v128.xor(t0, x3)
      const t2 = v128.and(x1, t1)
      const t3 = v128.xor(t2, x3)
      const t4 = v128.and(t3, x2)
      const t5 = v128.xor(t4, t1)
      const t6 = v128.xor(x2, t0)
      const t7 = v128.and(x0, x3)
      const t8 = v128.xor(t6, t7)
      const t9 = v128.andnot(x1, t1)
      const t10 = v128.xor(t9, t6)
      const t11 = v128.and(t10, t8)
      const t12 = v128.xor(t11, t3)
      const t13 = v128.xor(t10, t12)
      x0 = t13
      x1 = t12
      x2 = t5
      x3 = t8
    }
    {
      // S0
      const t0 = v128.xor(y0, y1)
      const t1 = v128.xor(t0, y3)
      const t2 = v128.and(y1, t1)
      const t3 = v128.xor(t2, y3)
      const t4 = v128.and(t3, y2)
      const t5 = v128.xor(t4, t1)
      const t6 = v128.xor(y2, t0)
      const t7 = v128.and(y0, y3)
      const t8 = v128.xor(t6, t7)
      const t9 = v128.andnot(y1, t1)
      const t10 = v128.xor(t9, t6)
      const t11 = v128.and(t10, t8)
      const t12 = v128.xor(t11, t3)
      const t13 = v128.xor(t10, t12)
      y0 = t13
      y1 = t12
      y2 = t5
      y3 = t8
    }
    {
      // S0
      const t0 = v128.xor(z0, z1)
      const t1 = v128.xor(t0, z3)
      const t2 = v128.and(z1, t1)
      const t3 = v128.xor(t2, z3)
      const t4 = v128.and(t3, z2)
      const t5 = v128.xor(t4, t1)
      const t6 = v128.xor(z2, t0)
      const t7 = v128.and(z0, z3)
      const t8 = v128.xor(t6, t7)
      const t9 = v128.andnot(z1, t1)
      const t10 = v128.xor(t9, t6)
      const t11 = v128.and(t10, t8)
      const t12 = v128.xor(t11, t3)
      const t13 = v128.xor(t10, t12)
      z0 = t13
      z1 = t12
      z2 = t5
      z3 = t8
    }
    x0 = rotateLeft(x0, 13)
    x2 = rotateLeft(x2, 3)
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = rotateLeft(x1, 1)
    x3 = rotateLeft(x3, 7)
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = rotateLeft(x0, 5)
    x2 = rotateLeft(x2, 22)
    v128.store(target, x2)
    y0 = rotateLeft(y0, 13)
    y2 = rotateLeft(y2, 3)
    y1 = v128.xor(v128.xor(y1, y0), y2)
    y3 = v128.xor(v128.xor(y3, y2), i32x4.shl(y0, 3))
    y1 = rotateLeft(y1, 1)
    y3 = rotateLeft(y3, 7)
    y0 = v128.xor(v128.xor(y0, y1), y3)
    y2 = v128.xor(v128.xor(y2, y3), i32x4.shl(y1, 7))
    y0 = rotateLeft(y0, 5)
    y2 = rotateLeft(y2, 22)
    v128.store(target, y2)
    z0 = rotateLeft(z0, 13)
    z2 = rotateLeft(z2, 3)
    z1 = v128.xor(v128.xor(z1, z0), z2)
    z3 = v128.xor(v128.xor(z3, z2), i32x4.shl(z0, 3))
    z1 = rotateLeft(z1, 1)
    z3 = rotateLeft(z3, 7)
    z0 = v128.xor(v128.xor(z0, z1), z3)
    z2 = v128.xor(v128.xor(z2, z3), i32x4.shl(z1, 7))
    z0 = rotateLeft(z0, 5)
    z2 = rotateLeft(z2, 22)
    v128.store(target, z2)
    k = v128.load(at, 64)
    x0 = v128.xor(x0, k)
    y0 = v128.xor(y0, k)
    z0 = v128.xor(z0, k)
    k = v128.load(at, 80)
    x1 = v128.xor(x1, k)
    y1 = v128.xor(y1, k)
    z1 = v128.xor(z1, k)
    k = v128.load(at, 96)
    x2 = v128.xor(x2, k)
    y2 = v128.xor(y2, k)
    z2 = v128.xor(z2, k)
    k = v128.load(at, 112)
    x3 = v128.xor(x3, k)
    y3 = v128.xor(y3, k)
    z3 = v128.xor(z3, k)
    {
      // S1
      const t0 = v128.xor(x2, x3)
      const t1 = v128.or(x0, x1)
      const t2 = v128.xor(t0, t1)
      const t3 = v128.andnot(x3, x0)
      const t4 = v128.xor(t3, x1)
      const t5 = v128.and(x3, t4)
      const t6 = v128.xor(t5, x0)
      const t7 = v128.and(t6, t2)
      const t8 = v128.xor(t7, t4)
      const t9 = v128.xor(x2, t1)
      const t10 = v128.xor(t6, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.or(t8, t11)
      const t13 = v128.xor(t12, t10)
      x0 = t13
      x1 = t11
      x2 = t2
      x3 = t8
    }
    {
      // S1
      const t0 = v128.xor(y2, y3)
      const t1 = v128.or(y0, y1)
      const t2 = v128.xor(t0, t1)
      const t3 = v128.andnot(y3, y0)
      const t4 = v128.xor(t3, y1)
      const t5 = v128.and(y3, t4)
      const t6 = v128.xor(t5, y0)
      const t7 = v128.and(t6, t2)
      const t8 = v128.xor(t7, t4)
      const t9 = v128.xor(y2, t1)
      const t10 = v128.xor(t6, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.or(t8, t11)
      const t13 = v128.xor(t12, t10)
      y0 = t13
      y1 = t11
      y2 = t2
      y3 = t8
    }
    {
      // S1
      const t0 = v128.xor(z2, z3)
      const t1 = v128.or(z0, z1)
      const t2 = v128.xor(t0, t1)
      const t3 = v128.andnot(z3, z0)
      const t4 = v128.xor(t3, z1)
      const t5 = v128.and(z3, t4)
      const t6 = v128.xor(t5, z0)
      const t7 = v128.and(t6, t2)
      const t8 = v128.xor(t7, t4)
      const t9 = v128.xor(z2, t1)
      const t10 = v128.xor(t6, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.or(t8, t11)
      const t13 = v128.xor(t12, t10)
      z0 = t13
      z1 = t11
      z2 = t2
      z3 = t8
    }
    x0 = rotateLeft(x0, 13)
    x2 = rotateLeft(x2, 3)
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = rotateLeft(x1, 1)
    x3 = rotateLeft(x3, 7)
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = rotateLeft(x0, 5)
    x2 = rotateLeft(x2, 22)
    v128.store(target, x2)
    y0 = rotateLeft(y0, 13)
    y2 = rotateLeft(y2, 3)
    y1 = v128.xor(v128.xor(y1, y0), y2)
    y3 = v128.xor(v128.xor(y3, y2), i32x4.shl(y0, 3))
    y1 = rotateLeft(y1, 1)
    y3 = rotateLeft(y3, 7)
    y0 = v128.xor(v128.xor(y0, y1), y3)
    y2 = v128.xor(v128.xor(y2, y3), i32x4.shl(y1, 7))
    y0 = rotateLeft(y0, 5)
    y2 = rotateLeft(y2, 22)
    v128.store(target, y2)
    z0 = rotateLeft(z0, 13)
    z2 = rotateLeft(z2, 3)
    z1 = v128.xor(v128.xor(z1, z0), z2)
    z3 = v128.xor(v128.xor(z3, z2), i32x4.shl(z0, 3))
    z1 = rotateLeft(z1, 1)
    z3 = rotateLeft(z3, 7)
    z0 = v128.xor(v128.xor(z0, z1), z3)
    z2 = v128.xor(v128.xor(z2, z3), i32x4.shl(z1, 7))
    z0 = rotateLeft(z0, 5)
    z2 = rotateLeft(z2, 22)
    v128.store(target, z2)
    k = v128.load(at, 128)
    x0 = v128.xor(x0, k)
    y0 = v128.xor(y0, k)
    z0 = v128.xor(z0, k)
    k = v128.load(at, 144)
    x1 = v128.xor(x1, k)
    y1 = v128.xor(y1, k)
    z1 = v128.xor(z1, k)
    k = v128.load(at, 160)
    x2 = v128.xor(x2, k)
    y2 = v128.xor(y2, k)
    z2 = v128.xor(z2, k)
    k = v128.load(at, 176)
    x3 = v128.xor(x3, k)
    y3 = v128.xor(y3, k)
    z3 = v128.xor(z3, k)
    {
      // S2
      const t0 = v128.xor(x0, x2)
      const t1 = v128.andnot(t0, x0)
      const t2 = v128.xor(t1, x3)
      const t3 = v128.and(t2, x1)
      const t4 = v128.xor(t3, t0)
      const t5 = v128.and(x0, x3)
      const t6 = v128.xor(t5, x1)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t2)
      const t9 = v128.xor(x1, x2)
      const t10 = v128.xor(t9, t2)
      const t11 = v128.or(t4, t6)
      const t12 = v128.xor(t11, t2)
      x0 = t10
      x1 = t8
      x2 = t12
      x3 = t4
    }
    {
      // S2
      const t0 = v128.xor(y0, y2)
      const t1 = v128.andnot(t0, y0)
      const t2 = v128.xor(t1, y3)
      const t3 = v128.and(t2, y1)
      const t4 = v128.xor(t3, t0)
      const t5 = v128.and(y0, y3)
      const t6 = v128.xor(t5, y1)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t2)
      const t9 = v128.xor(y1, y2)
      const t10 = v128.xor(t9, t2)
      const t11 = v128.or(t4, t6)
      const t12 = v128.xor(t11, t2)
      y0 = t10
      y1 = t8
      y2 = t12
      y3 = t4
    }
    {
      // S2
      const t0 = v128.xor(z0, z2)
      const t1 = v128.andnot(t0, z0)
      const t2 = v128.xor(t1, z3)
      const t3 = v128.and(t2, z1)
      const t4 = v128.xor(t3, t0)
      const t5 = v128.and(z0, z3)
      const t6 = v128.xor(t5, z1)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t2)
      const t9 = v128.xor(z1, z2)
      const t10 = v128.xor(t9, t2)
      const t11 = v128.or(t4, t6)
      const t12 = v128.xor(t11, t2)
      z0 = t10
      z1 = t8
      z2 = t12
      z3 = t4
    }
    x0 = rotateLeft(x0, 13)
    x2 = rotateLeft(x2, 3)
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = rotateLeft(x1, 1)
    x3 = rotateLeft(x3, 7)
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = rotateLeft(x0, 5)
    x2 = rotateLeft(x2, 22)
    v128.store(target, x2)
    y0 = rotateLeft(y0, 13)
    y2 = rotateLeft(y2, 3)
    y1 = v128.xor(v128.xor(y1, y0), y2)
    y3 = v128.xor(v128.xor(y3, y2), i32x4.shl(y0, 3))
    y1 = rotateLeft(y1, 1)
    y3 = rotateLeft(y3, 7)
    y0 = v128.xor(v128.xor(y0, y1), y3)
    y2 = v128.xor(v128.xor(y2, y3), i32x4.shl(y1, 7))
    y0 = rotateLeft(y0, 5)
    y2 = rotateLeft(y2, 22)
    v128.store(target, y2)
    z0 = rotateLeft(z0, 13)
    z2 = rotateLeft(z2, 3)
    z1 = v128.xor(v128.xor(z1, z0), z2)
    z3 = v128.xor(v128.xor(z3, z2), i32x4.shl(z0, 3))
    z1 = rotateLeft(z1, 1)
    z3 = rotateLeft(z3, 7)
    z0 = v128.xor(v128.xor(z0, z1), z3)
    z2 = v128.xor(v128.xor(z2, z3), i32x4.shl(z1, 7))
    z0 = rotateLeft(z0, 5)
    z2 = rotateLeft(z2, 22)
    v128.store(target, z2)
    k = v128.load(at, 192)
    x0 = v128.xor(x0, k)
    y0 = v128.xor(y0, k)
    z0 = v128.xor(z0, k)
    k = v128.load(at, 208)
    x1 = v128.xor(x1, k)
    y1 = v128.xor(y1, k)
    z1 = v128.xor(z1, k)
    k = v128.load(at, 224)
    x2 = v128.xor(x2, k)
    y2 = v128.xor(y2, k)
    z2 = v128.xor(z2, k)
    k = v128.load(at, 240)
    x3 = v128.xor(x3, k)
    y3 = v128.xor(y3, k)
    z3 = v128.xor(z3, k)
    {
      // S3
      const t0 = v128.or(x0, x1)
      const t1 = v128.xor(t0, x3)
      const t2 = v128.andnot(t1, x0)
      const t3 = v128.xor(t2, x1)
      const t4 = v128.and(t3, x2)
      const t5 = v128.xor(t4, t1)
      const t6 = v128.or(t1, t3)
      const t7 = v128.xor(t6, x2)
      const t8 = v128.and(t3, t5)
      const t9 = v128.and(t8, x0)
      const t10 = v128.xor(t9, t7)
      const t11 = v128.or(x0, t8)
      const t12 = v128.xor(t11, t7)
      const t13 = v128.and(t10, t12)
      const t14 = v128.xor(t13, t3)
      x0 = t14
      x1 = t12
      x2 = t10
      x3 = t5
    }
    {
      // S3
      const t0 = v128.or(y0, y1)
      const t1 = v128.xor(t0, y3)
      const t2 = v128.andnot(t1, y0)
      const t3 = v128.xor(t2, y1)
      const t4 = v128.and(t3, y2)
      const t5 = v128.xor(t4, t1)
      const t6 = v128.or(t1, t3)
      const t7 = v128.xor(t6, y2)
      const t8 = v128.and(t3, t5)
      const t9 = v128.and(t8, y0)
      const t10 = v128.xor(t9, t7)
      const t11 = v128.or(y0, t8)
      const t12 = v128.xor(t11, t7)
      const t13 = v128.and(t10, t12)
      const t14 = v128.xor(t13, t3)
      y0 = t14
      y1 = t12
      y2 = t10
      y3 = t5
    }
    {
      // S3
      const t0 = v128.or(z0, z1)
      const t1 = v128.xor(t0, z3)
      const t2 = v128.andnot(t1, z0)
      const t3 = v128.xor(t2, z1)
      const t4 = v128.and(t3, z2)
      const t5 = v128.xor(t4, t1)
      const t6 = v128.or(t1, t3)
      const t7 = v128.xor(t6, z2)
      const t8 = v128.and(t3, t5)
      const t9 = v128.and(t8, z0)
      const t10 = v128.xor(t9, t7)
      const t11 = v128.or(z0, t8)
      const t12 = v128.xor(t11, t7)
      const t13 = v128.and(t10, t12)
      const t14 = v128.xor(t13, t3)
      z0 = t14
      z1 = t12
      z2 = t10
      z3 = t5
    }
    x0 = rotateLeft(x0, 13)
    x2 = rotateLeft(x2, 3)
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = rotateLeft(x1, 1)
    x3 = rotateLeft(x3, 7)
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = rotateLeft(x0, 5)
    x2 = rotateLeft(x2, 22)
    v128.store(target, x2)
    y0 = rotateLeft(y0, 13)
    y2 = rotateLeft(y2, 3)
    y1 = v128.xor(v128.xor(y1, y0), y2)
    y3 = v128.xor(v128.xor(y3, y2), i32x4.shl(y0, 3))
    y1 = rotateLeft(y1, 1)
    y3 = rotateLeft(y3, 7)
    y0 = v128.xor(v128.xor(y0, y1), y3)
    y2 = v128.xor(v128.xor(y2, y3), i32x4.shl(y1, 7))
    y0 = rotateLeft(y0, 5)
    y2 = rotateLeft(y2, 22)
    v128.store(target, y2)
    z0 = rotateLeft(z0, 13)
    z2 = rotateLeft(z2, 3)
    z1 = v128.xor(v128.xor(z1, z0), z2)
    z3 = v128.xor(v128.xor(z3, z2), i32x4.shl(z0, 3))
    z1 = rotateLeft(z1, 1)
    z3 = rotateLeft(z3, 7)
    z0 = v128.xor(v128.xor(z0, z1), z3)
    z2 = v128.xor(v128.xor(z2, z3), i32x4.shl(z1, 7))
    z0 = rotateLeft(z0, 5)
    z2 = rotateLeft(z2, 22)
    v128.store(target, z2)
    k = v128.load(at, 256)
    x0 = v128.xor(x0, k)
    y0 = v128.xor(y0, k)
    z0 = v128.xor(z0, k)
    k = v128.load(at, 272)
    x1 = v128.xor(x1, k)
    y1 = v128.xor(y1, k)
    z1 = v128.xor(z1, k)
    k = v128.load(at, 288)
    x2 = v128.xor(x2, k)
    y2 = v128.xor(y2, k)
    z2 = v128.xor(z2, k)
    k = v128.load(at, 304)
    x3 = v128.xor(x3, k)
    y3 = v128.xor(y3, k)
    z3 = v128.xor(z3, k)
    {
      // S4
      const t0 = v128.and(x0, x3)
      const t1 = v128.xor(t0, x2)
      const t2 = v128.xor(x0, x3)
      const t3 = v128.and(t2, x1)
      const t4 = v128.xor(t3, t1)
      const t5 = v128.xor(x1, t2)
      const t6 = v128.xor(x0, t3)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t5)
      const t9 = v128.xor(x3, t1)
      const t10 = v128.or(t5, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.and(x1, t4)
      const t13 = v128.xor(t12, t2)
      x0 = t4
      x1 = t11
      x2 = t8
      x3 = t13
    }
    {
      // S4
      const t0 = v128.and(y0, y3)
      const t1 = v128.xor(t0, y2)
      const t2 = v128.xor(y0, y3)
      const t3 = v128.and(t2, y1)
      const t4 = v128.xor(t3, t1)
      const t5 = v128.xor(y1, t2)
      const t6 = v128.xor(y0, t3)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t5)
      const t9 = v128.xor(y3, t1)
      const t10 = v128.or(t5, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.and(y1, t4)
      const t13 = v128.xor(t12, t2)
      y0 = t4
      y1 = t11
      y2 = t8
      y3 = t13
    }
    {
      // S4
      const t0 = v128.and(z0, z3)
      const t1 = v128.xor(t0, z2)
      const t2 = v128.xor(z0, z3)
      const t3 = v128.and(t2, z1)
      const t4 = v128.xor(t3, t1)
      const t5 = v128.xor(z1, t2)
      const t6 = v128.xor(z0, t3)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t5)
      const t9 = v128.xor(z3, t1)
      const t10 = v128.or(t5, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.and(z1, t4)
      const t13 = v128.xor(t12, t2)
      z0 = t4
      z1 = t11
      z2 = t8
      z3 = t13
    }
    x0 = rotateLeft(x0, 13)
    x2 = rotateLeft(x2, 3)
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = rotateLeft(x1, 1)
    x3 = rotateLeft(x3, 7)
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = rotateLeft(x0, 5)
    x2 = rotateLeft(x2, 22)
    v128.store(target, x2)
    y0 = rotateLeft(y0, 13)
    y2 = rotateLeft(y2, 3)
    y1 = v128.xor(v128.xor(y1, y0), y2)
    y3 = v128.xor(v128.xor(y3, y2), i32x4.shl(y0, 3))
    y1 = rotateLeft(y1, 1)
    y3 = rotateLeft(y3, 7)
    y0 = v128.xor(v128.xor(y0, y1), y3)
    y2 = v128.xor(v128.xor(y2, y3), i32x4.shl(y1, 7))
    y0 = rotateLeft(y0, 5)
    y2 = rotateLeft(y2, 22)
    v128.store(target, y2)
    z0 = rotateLeft(z0, 13)
    z2 = rotateLeft(z2, 3)
    z1 = v128.xor(v128.xor(z1, z0), z2)
    z3 = v128.xor(v128.xor(z3, z2), i32x4.shl(z0, 3))
    z1 = rotateLeft(z1, 1)
    z3 = rotateLeft(z3, 7)
    z0 = v128.xor(v128.xor(z0, z1), z3)
    z2 = v128.xor(v128.xor(z2, z3), i32x4.shl(z1, 7))
    z0 = rotateLeft(z0, 5)
    z2 = rotateLeft(z2, 22)
    v128.store(target, z2)
    k = v128.load(at, 320)
    x0 = v128.xor(x0, k)
    y0 = v128.xor(y0, k)
    z0 = v128.xor(z0, k)
    k = v128.load(at, 336)
    x1 = v128.xor(x1, k)
    y1 = v128.xor(y1, k)
    z1 = v128.xor(z1, k)
    k = v128.load(at, 352)
    x2 = v128.xor(x2, k)
    y2 = v128.xor(y2, k)
    z2 = v128.xor(z2, k)
    k = v128.load(at, 368)
    x3 = v128.xor(x3, k)
    y3 = v128.xor(y3, k)
    z3 = v128.xor(z3, k)
    {
      // S5
      const t0 = v128.or(x0, x1)
      const t1 = v128.xor(t0, x2)
      const t2 = v128.xor(x0, x1)
      const t3 = v128.and(t2, x3)
      const t4 = v128.xor(t3, t1)
      const t5 = v128.xor(x3, t2)
      const t6 = v128.xor(x1, t1)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t5)
      const t9 = v128.and(x3, t4)
      const t10 = v128.xor(t9, t2)
      const t11 = v128.xor(x0, t1)
      const t12 = v128.or(t5, t7)
      const t13 = v128.xor(t11, t12)
      x0 = t4
      x1 = t10
      x2 = t8
      x3 = t13
    }
    {
      // S5
      const t0 = v128.or(y0, y1)
      const t1 = v128.xor(t0, y2)
      const t2 = v128.xor(y0, y1)
      const t3 = v128.and(t2, y3)
      const t4 = v128.xor(t3, t1)
      const t5 = v128.xor(y3, t2)
      const t6 = v128.xor(y1, t1)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t5)
      const t9 = v128.and(y3, t4)
      const t10 = v128.xor(t9, t2)
      const t11 = v128.xor(y0, t1)
      const t12 = v128.or(t5, t7)
      const t13 = v128.xor(t11, t12)
      y0 = t4
      y1 = t10
      y2 = t8
      y3 = t13
    }
    {
      // S5
      const t0 = v128.or(z0, z1)
      const t1 = v128.xor(t0, z2)
      const t2 = v128.xor(z0, z1)
      const t3 = v128.and(t2, z3)
      const t4 = v128.xor(t3, t1)
      const t5 = v128.xor(z3, t2)
      const t6 = v128.xor(z1, t1)
      const t7 = v128.and(t6, t4)
      const t8 = v128.xor(t7, t5)
      const t9 = v128.and(z3, t4)
      const t10 = v128.xor(t9, t2)
      const t11 = v128.xor(z0, t1)
      const t12 = v128.or(t5, t7)
      const t13 = v128.xor(t11, t12)
      z0 = t4
      z1 = t10
      z2 = t8
      z3 = t13
    }
    x0 = rotateLeft(x0, 13)
    x2 = rotateLeft(x2, 3)
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = rotateLeft(x1, 1)
    x3 = rotateLeft(x3, 7)
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = rotateLeft(x0, 5)
    x2 = rotateLeft(x2, 22)
    v128.store(target, x2)
    y0 = rotateLeft(y0, 13)
    y2 = rotateLeft(y2, 3)
    y1 = v128.xor(v128.xor(y1, y0), y2)
    y3 = v128.xor(v128.xor(y3, y2), i32x4.shl(y0, 3))
    y1 = rotateLeft(y1, 1)
    y3 = rotateLeft(y3, 7)
    y0 = v128.xor(v128.xor(y0, y1), y3)
    y2 = v128.xor(v128.xor(y2, y3), i32x4.shl(y1, 7))
    y0 = rotateLeft(y0, 5)
    y2 = rotateLeft(y2, 22)
    v128.store(target, y2)
    z0 = rotateLeft(z0, 13)
    z2 = rotateLeft(z2, 3)
    z1 = v128.xor(v128.xor(z1, z0), z2)
    z3 = v128.xor(v128.xor(z3, z2), i32x4.shl(z0, 3))
    z1 = rotateLeft(z1, 1)
    z3 = rotateLeft(z3, 7)
    z0 = v128.xor(v128.xor(z0, z1), z3)
    z2 = v128.xor(v128.xor(z2, z3), i32x4.shl(z1, 7))
    z0 = rotateLeft(z0, 5)
    z2 = rotateLeft(z2, 22)
    v128.store(target, z2)
    k = v128.load(at, 384)
    x0 = v128.xor(x0, k)
    y0 = v128.xor(y0, k)
    z0 = v128.xor(z0, k)
    k = v128.load(at, 400)
    x1 = v128.xor(x1, k)
    y1 = v128.xor(y1, k)
    z1 = v128.xor(z1, k)
    k = v128.load(at, 416)
    x2 = v128.xor(x2, k)
    y2 = v128.xor(y2, k)
    z2 = v128.xor(z2, k)
    k = v128.load(at, 432)
    x3 = v128.xor(x3, k)
    y3 = v128.xor(y3, k)
    z3 = v128.xor(z3, k)
    {
      // S6
      const t0 = v128.xor(x1, x2)
      const t1 = v128.or(x0, x3)
      const t2 = v128.xor(t0, t1)
      const t3 = v128.and(x3, t0)
      const t4 = v128.xor(t3, x0)
      const t5 = v128.or(t2, t4)
      const t6 = v128.xor(t5, x3)
      const t7 = v128.and(t6, x1)
      const t8 = v128.xor(t7, t4)
      const t9 = v128.xor(t2, t6)
      const t10 = v128.xor(x1, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.or(t8, t11)
      const t13 = v128.xor(t12, t6)
      x0 = t11
      x1 = t2
      x2 = t8
      x3 = t13
    }
    {
      // S6
      const t0 = v128.xor(y1, y2)
      const t1 = v128.or(y0, y3)
      const t2 = v128.xor(t0, t1)
      const t3 = v128.and(y3, t0)
      const t4 = v128.xor(t3, y0)
      const t5 = v128.or(t2, t4)
      const t6 = v128.xor(t5, y3)
      const t7 = v128.and(t6, y1)
      const t8 = v128.xor(t7, t4)
      const t9 = v128.xor(t2, t6)
      const t10 = v128.xor(y1, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.or(t8, t11)
      const t13 = v128.xor(t12, t6)
      y0 = t11
      y1 = t2
      y2 = t8
      y3 = t13
    }
    {
      // S6
      const t0 = v128.xor(z1, z2)
      const t1 = v128.or(z0, z3)
      const t2 = v128.xor(t0, t1)
      const t3 = v128.and(z3, t0)
      const t4 = v128.xor(t3, z0)
      const t5 = v128.or(t2, t4)
      const t6 = v128.xor(t5, z3)
      const t7 = v128.and(t6, z1)
      const t8 = v128.xor(t7, t4)
      const t9 = v128.xor(t2, t6)
      const t10 = v128.xor(z1, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.or(t8, t11)
      const t13 = v128.xor(t12, t6)
      z0 = t11
      z1 = t2
      z2 = t8
      z3 = t13
    }
    x0 = rotateLeft(x0, 13)
    x2 = rotateLeft(x2, 3)
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = rotateLeft(x1, 1)
    x3 = rotateLeft(x3, 7)
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = rotateLeft(x0, 5)
    x2 = rotateLeft(x2, 22)
    v128.store(target, x2)
    y0 = rotateLeft(y0, 13)
    y2 = rotateLeft(y2, 3)
    y1 = v128.xor(v128.xor(y1, y0), y2)
    y3 = v128.xor(v128.xor(y3, y2), i32x4.shl(y0, 3))
    y1 = rotateLeft(y1, 1)
    y3 = rotateLeft(y3, 7)
    y0 = v128.xor(v128.xor(y0, y1), y3)
    y2 = v128.xor(v128.xor(y2, y3), i32x4.shl(y1, 7))
    y0 = rotateLeft(y0, 5)
    y2 = rotateLeft(y2, 22)
    v128.store(target, y2)
    z0 = rotateLeft(z0, 13)
    z2 = rotateLeft(z2, 3)
    z1 = v128.xor(v128.xor(z1, z0), z2)
    z3 = v128.xor(v128.xor(z3, z2), i32x4.shl(z0, 3))
    z1 = rotateLeft(z1, 1)
    z3 = rotateLeft(z3, 7)
    z0 = v128.xor(v128.xor(z0, z1), z3)
    z2 = v128.xor(v128.xor(z2, z3), i32x4.shl(z1, 7))
    z0 = rotateLeft(z0, 5)
    z2 = rotateLeft(z2, 22)
    v128.store(target, z2)
    k = v128.load(at, 448)
    x0 = v128.xor(x0, k)
    y0 = v128.xor(y0, k)
    z0 = v128.xor(z0, k)
    k = v128.load(at, 464)
    x1 = v128.xor(x1, k)
    y1 = v128.xor(y1, k)
    z1 = v128.xor(z1, k)
    k = v128.load(at, 480)
    x2 = v128.xor(x2, k)
    y2 = v128.xor(y2, k)
    z2 = v128.xor(z2, k)
    k = v128.load(at, 496)
    x3 = v128.xor(x3, k)
    y3 = v128.xor(y3, k)
    z3 = v128.xor(z3, k)
    {
      // S7
      const t0 = v128.xor(x1, x2)
      const t1 = v128.and(x1, x2)
      const t2 = v128.xor(t1, x3)
      const t3 = v128.and(t2, x0)
      const t4 = v128.xor(t3, t0)
      const t5 = v128.xor(x0, x1)
      const t6 = v128.xor(t5, t2)
      const t7 = v128.and(t0, t3)
      const t8 = v128.xor(t7, t6)
      const t9 = v128.xor(t3, t8)
      const t10 = v128.andnot(x2, t2)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.and(t11, t4)
      const t13 = v128.xor(t12, t2)
      const t14 = v128.xor(t11, t13)
      x0 = t13
      x1 = t8
      x2 = t14
      x3 = t4
    }
    {
      // S7
      const t0 = v128.xor(y1, y2)
      const t1 = v128.and(y1, y2)
      const t2 = v128.xor(t1, y3)
      const t3 = v128.and(t2, y0)
      const t4 = v128.xor(t3, t0)
      const t5 = v128.xor(y0, y1)
      const t6 = v128.xor(t5, t2)
      const t7 = v128.and(t0, t3)
      const t8 = v128.xor(t7, t6)
      const t9 = v128.xor(t3, t8)
      const t10 = v128.andnot(y2, t2)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.and(t11, t4)
      const t13 = v128.xor(t12, t2)
      const t14 = v128.xor(t11, t13)
      y0 = t13
      y1 = t8
      y2 = t14
      y3 = t4
    }
    {
      // S7
      const t0 = v128.xor(z1, z2)
      const t1 = v128.and(z1, z2)
      const t2 = v128.xor(t1, z3)
      const t3 = v128.and(t2, z0)
      const t4 = v128.xor(t3, t0)
      const t5 = v128.xor(z0, z1)
      const t6 = v128.xor(t5, t2)
      const t7 = v128.and(t0, t3)
      const t8 = v128.xor(t7, t6)
      const t9 = v128.xor(t3, t8)
      const t10 = v128.andnot(z2, t2)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.and(t11, t4)
      const t13 = v128.xor(t12, t2)
      const t14 = v128.xor(t11, t13)
      z0 = t13
      z1 = t8
      z2 = t14
      z3 = t4
    }
    at += 512
    if (at === end) break
    x0 = rotateLeft(x0, 13)
    x2 = rotateLeft(x2, 3)
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = rotateLeft(x1, 1)
    x3 = rotateLeft(x3, 7)
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = rotateLeft(x0, 5)
    x2 = rotateLeft(x2, 22)
    v128.store(target, x2)
    y0 = rotateLeft(y0, 13)
    y2 = rotateLeft(y2, 3)
    y1 = v128.xor(v128.xor(y1, y0), y2)
    y3 = v128.xor(v128.xor(y3, y2), i32x4.shl(y0, 3))
    y1 = rotateLeft(y1, 1)
    y3 = rotateLeft(y3, 7)
    y0 = v128.xor(v128.xor(y0, y1), y3)
    y2 = v128.xor(v128.xor(y2, y3), i32x4.shl(y1, 7))
    y0 = rotateLeft(y0, 5)
    y2 = rotateLeft(y2, 22)
    v128.store(target, y2)
    z0 = rotateLeft(z0, 13)
    z2 = rotateLeft(z2, 3)
    z1 = v128.xor(v128.xor(z1, z0), z2)
    z3 = v128.xor(v128.xor(z3, z2), i32x4.shl(z0, 3))
    z1 = rotateLeft(z1, 1)
    z3 = rotateLeft(z3, 7)
    z0 = v128.xor(v128.xor(z0, z1), z3)
    z2 = v128.xor(v128.xor(z2, z3), i32x4.shl(z1, 7))
    z0 = rotateLeft(z0, 5)
    z2 = rotateLeft(z2, 22)
    v128.store(target, z2)
  }
  k = v128.load(end, 0)
  x0 = v128.xor(x0, k)
  y0 = v128.xor(y0, k)
  z0 = v128.xor(z0, k)
  k = v128.load(end, 16)
  x1 = v128.xor(x1, k)
  y1 = v128.xor(y1, k)
  z1 = v128.xor(z1, k)
  k = v128.load(end, 32)
  x2 = v128.xor(x2, k)
  y2 = v128.xor(y2, k)
  z2 = v128.xor(z2, k)
  k = v128.load(end, 48)
  x3 = v128.xor(x3, k)
  y3 = v128.xor(y3, k)
  z3 = v128.xor(z3, k)
  low01 = i32x4.shuffle(x0, x1, 0, 4, 1, 5)
  high01 = i32x4.shuffle(x0, x1, 2, 6, 3, 7)
  low23 = i32x4.shuffle(x2, x3, 0, 4, 1, 5)
  high23 = i32x4.shuffle(x2, x3, 2, 6, 3, 7)
  v128.store(target, i64x2.shuffle(low01, low23, 0, 2))
  v128.store(target + min(16, last), i64x2.shuffle(low01, low23, 1, 3))
  v128.store(target + min(32, last), i64x2.shuffle(high01, high23, 0, 2))
  v128.store(target + min(48, last), i64x2.shuffle(high01, high23, 1, 3))
  low01 = i32x4.shuffle(y0, y1, 0, 4, 1, 5)
  high01 = i32x4.shuffle(y0, y1, 2, 6, 3, 7)
  low23 = i32x4.shuffle(y2, y3, 0, 4, 1, 5)
  high23 = i32x4.shuffle(y2, y3, 2, 6, 3, 7)
  v128.store(target + min(64, last), i64x2.shuffle(low01, low23, 0, 2))
  v128.store(target + min(80, last), i64x2.shuffle(low01, low23, 1, 3))
  v128.store(target + min(96, last), i64x2.shuffle(high01, high23, 0, 2))
  v128.store(target + min(112, last), i64x2.shuffle(high01, high23, 1, 3))
  low01 = i32x4.shuffle(z0, z1, 0, 4, 1, 5)
  high01 = i32x4.shuffle(z0, z1, 2, 6, 3, 7)
  low23 = i32x4.shuffle(z2, z3, 0, 4, 1, 5)
  high23 = i32x4.shuffle(z2, z3, 2, 6, 3, 7)
  v128.store(target + min(128, last), i64x2.shuffle(low01, low23, 0, 2))
  v128.store(target + min(144, last), i64x2.shuffle(low01, low23, 1, 3))
  v128.store(target + min(160, last), i64x2.shuffle(high01, high23, 0, 2))
  v128.store(target + min(176, last), i64x2.shuffle(high01, high23, 1, 3))
}

/** Up to four blocks, see `encryptTwelve`. */
function decryptFour(key: usize, source: usize, target: usize, last: usize): void {
  let low01: v128
  let low23: v128
  let high01: v128
  let high23: v128
  low01 = i32x4.shuffle(v128.load(source), v128.load(source + min(16, last)), 0, 4, 1, 5)
  high01 = i32x4.shuffle(v128.load(source), v128.load(source + min(16, last)), 2, 6, 3, 7)
  low23 = i32x4.shuffle(v128.load(source + min(32, last)), v128.load(source + min(48, last)), 0, 4, 1, 5)
  high23 = i32x4.shuffle(v128.load(source + min(32, last)), v128.load(source + min(48, last)), 2, 6, 3, 7)
  let x0 = i64x2.shuffle(low01, low23, 0, 2)
  let x1 = i64x2.shuffle(low01, low23, 1, 3)
  let x2 = i64x2.shuffle(high01, high23, 0, 2)
  let x3 = i64x2.shuffle(high01, high23, 1, 3)
  let at = key + 2048
  x0 = v128.xor(x0, v128.load(at, 0))
  x1 = v128.xor(x1, v128.load(at, 16))
  x2 = v128.xor(x2, v128.load(at, 32))
  x3 = v128.xor(x3, v128.load(at, 48))
  for (;;) {
    at -= 512
    {
      // inverse S7
      const t0 = v128.or(x0, x3)
      const t1 = v128.xor(t0, x2)
      const t2 = v128.not(t1)
      const t3 = v128.andnot(t2, x3)
      const t4 = v128.xor(t3, x0)
      const t5 = v128.andnot(t4, x1)
      const t6 = v128.xor(t5, t1)
      const t7 = v128.andnot(t6, x3)
      const t8 = v128.xor(t7, x1)
      const t9 = v128.not(t4)
      const t10 = v128.and(t9, x2)
      const t11 = v128.xor(t10, t8)
      const t12 = v128.and(t4, t6)
      const t13 = v128.xor(x3, t11)
      const t14 = v128.xor(t12, t13)
      const t15 = v128.andnot(t14, t11)
      const t16 = v128.xor(t15, t9)
      x0 = t6
      x1 = t11
      x2 = t14
      x3 = t16
    }
    x0 = v128.xor(x0, v128.load(at, 448))
    x1 = v128.xor(x1, v128.load(at, 464))
    x2 = v128.xor(x2, v128.load(at, 480))
    x3 = v128.xor(x3, v128.load(at, 496))
    x2 = rotateLeft(x2, 10)
    x0 = rotateLeft(x0, 27)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x3 = rotateLeft(x3, 25)
    x1 = rotateLeft(x1, 31)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x2 = rotateLeft(x2, 29)
    x0 = rotateLeft(x0, 19)
    {
      // inverse S6
      const t0 = v128.not(x3)
      const t1 = v128.andnot(x2, x0)
      const t2 = v128.xor(t1, t0)
      const t3 = v128.xor(x1, t2)
      const t4 = v128.xor(x0, x2)
      const t5 = v128.xor(t4, t2)
      const t6 = v128.and(t2, t4)
      const t7 = v128.xor(t6, x2)
      const t8 = v128.and(t7, x1)
      const t9 = v128.xor(t8, t5)
      const t10 = v128.xor(t7, t9)
      const t11 = v128.xor(t10, x1)
      const t12 = v128.and(t9, t11)
      const t13 = v128.xor(x3, t1)
      const t14 = v128.xor(t12, t13)
      x0 = t9
      x1 = t3
      x2 = t14
      x3 = t11
    }
    x0 = v128.xor(x0, v128.load(at, 384))
    x1 = v128.xor(x1, v128.load(at, 400))
    x2 = v128.xor(x2, v128.load(at, 416))
    x3 = v128.xor(x3, v128.load(at, 432))
    x2 = rotateLeft(x2, 10)
    x0 = rotateLeft(x0, 27)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x3 = rotateLeft(x3, 25)
    x1 = rotateLeft(x1, 31)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x2 = rotateLeft(x2, 29)
    x0 = rotateLeft(x0, 19)
    {
      // inverse S5
      const t0 = v128.not(x1)
      const t1 = v128.xor(t0, x2)
      const t2 = v128.andnot(x1, x2)
      const t3 = v128.xor(t2, x3)
      const t4 = v128.and(t3, x0)
      const t5 = v128.xor(t4, t1)
      const t6 = v128.xor(x0, x2)
      const t7 = v128.or(t6, t4)
      const t8 = v128.or(x0, x3)
      const t9 = v128.and(t8, x1)
      const t10 = v128.xor(t9, t7)
      const t11 = v128.xor(x2, t8)
      const t12 = v128.andnot(t0, t5)
      const t13 = v128.xor(t11, t12)
      const t14 = v128.andnot(x0, t12)
      const t15 = v128.xor(t14, t3)
      x0 = t13
      x1 = t15
      x2 = t10
      x3 = t5
    }
    x0 = v128.xor(x0, v128.load(at, 320))
    x1 = v128.xor(x1, v128.load(at, 336))
    x2 = v128.xor(x2, v128.load(at, 352))
    x3 = v128.xor(x3, v128.load(at, 368))
    x2 = rotateLeft(x2, 10)
    x0 = rotateLeft(x0, 27)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x3 = rotateLeft(x3, 25)
    x1 = rotateLeft(x1, 31)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x2 = rotateLeft(x2, 29)
    x0 = rotateLeft(x0, 19)
    {
      // inverse S4
      const t0 = v128.xor(x2, x3)
      const t1 = v128.andnot(x0, x2)
      const t2 = v128.or(t1, t0)
      const t3 = v128.andnot(x0, x1)
      const t4 = v128.xor(t3, t2)
      const t5 = v128.and(x3, t4)
      const t6 = v128.xor(t5, t0)
      const t7 = v128.andnot(x1, x0)
      const t8 = v128.xor(t7, t6)
      const t9 = v128.andnot(x0, t4)
      const t10 = v128.xor(t9, x3)
      const t11 = v128.not(t8)
      const t12 = v128.xor(t11, t10)
      const t13 = v128.or(t10, t11)
      const t14 = v128.xor(x0, t5)
      const t15 = v128.xor(t13, t14)
      x0 = t12
      x1 = t4
      x2 = t15
      x3 = t8
    }
    x0 = v128.xor(x0, v128.load(at, 256))
    x1 = v128.xor(x1, v128.load(at, 272))
    x2 = v128.xor(x2, v128.load(at, 288))
    x3 = v128.xor(x3, v128.load(at, 304))
    x2 = rotateLeft(x2, 10)
    x0 = rotateLeft(x0, 27)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x3 = rotateLeft(x3, 25)
    x1 = rotateLeft(x1, 31)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x2 = rotateLeft(x2, 29)
    x0 = rotateLeft(x0, 19)
    {
      // inverse S3
      const t0 = v128.xor(x3, x1)
      const t1 = v128.xor(x2, t0)
      const t2 = v128.andnot(x1, x2)
      const t3 = v128.xor(t2, x0)
      const t4 = v128.andnot(t3, x3)
      const t5 = v128.xor(t4, t1)
      const t6 = v128.xor(t3, t5)
      const t7 = v128.or(x0, x1)
      const t8 = v128.and(t6, t7)
      const t9 = v128.andnot(t5, x3)
      const t10 = v128.xor(t9, t8)
      const t11 = v128.andnot(t6, t9)
      const t12 = v128.xor(t11, t0)
      const t13 = v128.or(t1, t4)
      const t14 = v128.andnot(t7, t6)
      const t15 = v128.xor(t13, t14)
      x0 = t5
      x1 = t15
      x2 = t12
      x3 = t10
    }
    x0 = v128.xor(x0, v128.load(at, 192))
    x1 = v128.xor(x1, v128.load(at, 208))
    x2 = v128.xor(x2, v128.load(at, 224))
    x3 = v128.xor(x3, v128.load(at, 240))
    x2 = rotateLeft(x2, 10)
    x0 = rotateLeft(x0, 27)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x3 = rotateLeft(x3, 25)
    x1 = rotateLeft(x1, 31)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x2 = rotateLeft(x2, 29)
    x0 = rotateLeft(x0, 19)
    {
      // inverse S2
      const t0 = v128.not(x3)
      const t1 = v128.or(t0, x1)
      const t2 = v128.xor(x2, t1)
      const t3 = v128.or(t0, t2)
      const t4 = v128.xor(t3, x1)
      const t5 = v128.and(t4, x0)
      const t6 = v128.xor(t5, t2)
      const t7 = v128.or(x0, t4)
      const t8 = v128.xor(t7, t2)
      const t9 = v128.xor(x0, t0)
      const t10 = v128.andnot(t4, t8)
      const t11 = v128.xor(t9, t10)
      const t12 = v128.and(t6, t11)
      const t13 = v128.xor(t12, t4)
      x0 = t11
      x1 = t8
      x2 = t6
      x3 = t13
    }
    x0 = v128.xor(x0, v128.load(at, 128))
    x1 = v128.xor(x1, v128.load(at, 144))
    x2 = v128.xor(x2, v128.load(at, 160))
    x3 = v128.xor(x3, v128.load(at, 176))
    x2 = rotateLeft(x2, 10)
    x0 = rotateLeft(x0, 27)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x3 = rotateLeft(x3, 25)
    x1 = rotateLeft(x1, 31)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x2 = rotateLeft(x2, 29)
    x0 = rotateLeft(x0, 19)
    {
      // inverse S1
      const t0 = v128.xor(x0, x2)
      const t1 = v128.andnot(x3, x1)
      const t2 = v128.xor(t0, t1)
      const t3 = v128.not(x0)
      const t4 = v128.andnot(x1, x3)
      const t5 = v128.xor(t4, t3)
      const t6 = v128.andnot(x2, t5)
      const t7 = v128.xor(t6, x1)
      const t8 = v128.and(t7, t2)
      const t9 = v128.xor(t8, t5)
      const t10 = v128.and(t2, t9)
      const t11 = v128.xor(t10, t7)
      const t12 = v128.andnot(t11, t9)
      const t13 = v128.xor(t1, t3)
      const t14 = v128.xor(t12, t13)
      x0 = t9
      x1 = t11
      x2 = t14
      x3 = t2
    }
    x0 = v128.xor(x0, v128.load(at, 64))
    x1 = v128.xor(x1, v128.load(at, 80))
    x2 = v128.xor(x2, v128.load(at, 96))
    x3 = v128.xor(x3, v128.load(at, 112))
    x2 = rotateLeft(x2, 10)
    x0 = rotateLeft(x0, 27)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x3 = rotateLeft(x3, 25)
    x1 = rotateLeft(x1, 31)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x2 = rotateLeft(x2, 29)
    x0 = rotateLeft(x0, 19)
    {
      // inverse S0
      const t0 = v128.not(x0)
      const t1 = v128.andnot(t0, x1)
      const t2 = v128.xor(t1, x2)
      const t3 = v128.xor(x3, t2)
      const t4 = v128.xor(x0, x1)
      const t5 = v128.xor(t4, x3)
      const t6 = v128.or(x3, t4)
      const t7 = v128.xor(t6, t0)
      const t8 = v128.and(t7, t2)
      const t9 = v128.xor(t8, t5)
      const t10 = v128.xor(t7, t9)
      const t11 = v128.xor(t10, t2)
      const t12 = v128.and(t9, t11)
      const t13 = v128.xor(t12, t7)
      x0 = t9
      x1 = t13
      x2 = t3
      x3 = t11
    }
    x0 = v128.xor(x0, v128.load(at, 0))
    x1 = v128.xor(x1, v128.load(at, 16))
    x2 = v128.xor(x2, v128.load(at, 32))
    x3 = v128.xor(x3, v128.load(at, 48))
    if (at === key) break
    x2 = rotateLeft(x2, 10)
    x0 = rotateLeft(x0, 27)
    x2 = v128.xor(v128.xor(x2, x3), i32x4.shl(x1, 7))
    x0 = v128.xor(v128.xor(x0, x1), x3)
    x3 = rotateLeft(x3, 25)
    x1 = rotateLeft(x1, 31)
    x3 = v128.xor(v128.xor(x3, x2), i32x4.shl(x0, 3))
    x1 = v128.xor(v128.xor(x1, x0), x2)
    x2 = rotateLeft(x2, 29)
    x0 = rotateLeft(x0, 19)
  }
  low01 = i32x4.shuffle(x0, x1, 0, 4, 1, 5)
  high01 = i32x4.shuffle(x0, x1, 2, 6, 3, 7)
  low23 = i32x4.shuffle(x2, x3, 0, 4, 1, 5)
  high23 = i32x4.shuffle(x2, x3, 2, 6, 3, 7)
  v128.store(target, i64x2.shuffle(low01, low23, 0, 2))
  v128.store(target + min(16, last), i64x2.shuffle(low01, low23, 1, 3))
  v128.store(target + min(32, last), i64x2.shuffle(high01, high23, 0, 2))
  v128.store(target + min(48, last), i64x2.shuffle(high01, high23, 1, 3))
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 12; blocks -= 12, source += 192, target += 192) encryptTwelve(key, source, target, 176)
  if (blocks > 0) encryptTwelve(key, source, target, (blocks - 1) << 4)
}

export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 4; blocks -= 4, source += 64, target += 64) decryptFour(key + DECRYPTION_KEYS, source, target, 48)
  if (blocks > 0) decryptFour(key + DECRYPTION_KEYS, source, target, (blocks - 1) << 4)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
