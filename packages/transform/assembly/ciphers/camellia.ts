// Camellia (RFC 3713) by tables of S-box and P-function: a round is eight look-ups of 64 bits. Halves are little-endian
// 64-bit words, so that no byte is moved; only the FL layers need the words' big-endian sense. Three blocks take turns,
// since a round waits for the one before it.
import { ctrOver } from './shared/ctr'

// Eight tables of 256 u64, for the bytes of a half in order: see src/ciphers/camellia.ts.
const SP: usize = memory.data(16384, 16)

// The expanded key: layers between FL functions (u32, 3 or 4; padded to 8 bytes), then the subkeys in order of use
// (u64): two for whitening, and for each layer six, followed by two for FL; the last two are for whitening again.
// The keys for decryption are the same backwards, in a second part.
const PART_BYTES: usize = 288

export function tables(): usize {
  return SP
}

// @ts-ignore: decorator
@inline
function f(x: u64): u64 {
  const low = <u32>x
  const high = <u32>(x >> 32)
  return (
    load<u64>((low << 3) & 0x7f8, SP) ^
    load<u64>((low >> 5) & 0x7f8, SP + 2048) ^
    load<u64>((low >> 13) & 0x7f8, SP + 4096) ^
    load<u64>((low >> 21) & 0x7f8, SP + 6144) ^
    load<u64>((high << 3) & 0x7f8, SP + 8192) ^
    load<u64>((high >> 5) & 0x7f8, SP + 10240) ^
    load<u64>((high >> 13) & 0x7f8, SP + 12288) ^
    load<u64>((high >> 21) & 0x7f8, SP + 14336)
  )
}

/** One bit to the left in a big-endian word: every byte takes the top bit of the byte after it. */
// @ts-ignore: decorator
@inline
function turn(word: u32): u32 {
  return ((word & 0x7f7f7f7f) << 1) | rotr<u32>((word >> 7) & 0x01010101, 8)
}

/** Section 2.4.2. */
// @ts-ignore: decorator
@inline
function fl(x: u64, k: u64): u64 {
  const second = <u32>(x >> 32) ^ turn(<u32>x & <u32>k)
  const first = <u32>x ^ (second | <u32>(k >> 32))
  return (<u64>second << 32) | <u64>first
}

// @ts-ignore: decorator
@inline
function inverseFl(x: u64, k: u64): u64 {
  const first = <u32>x ^ (<u32>(x >> 32) | <u32>(k >> 32))
  const second = <u32>(x >> 32) ^ turn(first & <u32>k)
  return (<u64>second << 32) | <u64>first
}

/** Up to three blocks, the last one `last` bytes from the first; it also stands in for those missing. */
function encryptThree(key: usize, source: usize, target: usize, last: usize): void {
  let at = key + 8
  let a1 = load<u64>(source) ^ load<u64>(at)
  let a2 = load<u64>(source, 8) ^ load<u64>(at, 8)
  let b1 = load<u64>(source + min(16, last)) ^ load<u64>(at)
  let b2 = load<u64>(source + min(16, last), 8) ^ load<u64>(at, 8)
  let c1 = load<u64>(source + min(32, last)) ^ load<u64>(at)
  let c2 = load<u64>(source + min(32, last), 8) ^ load<u64>(at, 8)
  at += 16
  for (let layer = load<u32>(key); ; layer--) {
    let k = load<u64>(at)
    a2 ^= f(a1 ^ k)
    b2 ^= f(b1 ^ k)
    c2 ^= f(c1 ^ k)
    k = load<u64>(at, 8)
    a1 ^= f(a2 ^ k)
    b1 ^= f(b2 ^ k)
    c1 ^= f(c2 ^ k)
    k = load<u64>(at, 16)
    a2 ^= f(a1 ^ k)
    b2 ^= f(b1 ^ k)
    c2 ^= f(c1 ^ k)
    k = load<u64>(at, 24)
    a1 ^= f(a2 ^ k)
    b1 ^= f(b2 ^ k)
    c1 ^= f(c2 ^ k)
    k = load<u64>(at, 32)
    a2 ^= f(a1 ^ k)
    b2 ^= f(b1 ^ k)
    c2 ^= f(c1 ^ k)
    k = load<u64>(at, 40)
    a1 ^= f(a2 ^ k)
    b1 ^= f(b2 ^ k)
    c1 ^= f(c2 ^ k)
    at += 64
    if (layer === 1) break
    a1 = fl(a1, load<u64>(at - 16))
    a2 = inverseFl(a2, load<u64>(at - 8))
    b1 = fl(b1, load<u64>(at - 16))
    b2 = inverseFl(b2, load<u64>(at - 8))
    c1 = fl(c1, load<u64>(at - 16))
    c2 = inverseFl(c2, load<u64>(at - 8))
  }
  store<u64>(target, a2 ^ load<u64>(at - 16))
  store<u64>(target, a1 ^ load<u64>(at - 8), 8)
  store<u64>(target + min(16, last), b2 ^ load<u64>(at - 16))
  store<u64>(target + min(16, last), b1 ^ load<u64>(at - 8), 8)
  store<u64>(target + min(32, last), c2 ^ load<u64>(at - 16))
  store<u64>(target + min(32, last), c1 ^ load<u64>(at - 8), 8)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 3; blocks -= 3, source += 48, target += 48) encryptThree(key, source, target, 32)
  if (blocks > 0) encryptThree(key, source, target, (blocks - 1) << 4)
}

/** The same with the subkeys backwards. */
export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 3; blocks -= 3, source += 48, target += 48) encryptThree(key + PART_BYTES, source, target, 32)
  if (blocks > 0) encryptThree(key + PART_BYTES, source, target, (blocks - 1) << 4)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
