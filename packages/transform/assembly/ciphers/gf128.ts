// Multiplication in GF(2^128) for the tags of MGM and GCM, from integer multiplications with holes between the bits
// (Pornin, "Constant-time crypto", section on GHASH): no look-ups, so its time does not depend on the data.

/** The low 64 bits of the carry-less product. Every fourth bit at a time: sums of 16 products do not reach the next one. */
function product(x: u64, y: u64): u64 {
  const x0 = x & 0x1111111111111111
  const x1 = x & 0x2222222222222222
  const x2 = x & 0x4444444444444444
  const x3 = x & 0x8888888888888888
  const y0 = y & 0x1111111111111111
  const y1 = y & 0x2222222222222222
  const y2 = y & 0x4444444444444444
  const y3 = y & 0x8888888888888888
  return (
    (((x0 * y0) ^ (x1 * y3) ^ (x2 * y2) ^ (x3 * y1)) & 0x1111111111111111) |
    (((x0 * y1) ^ (x1 * y0) ^ (x2 * y3) ^ (x3 * y2)) & 0x2222222222222222) |
    (((x0 * y2) ^ (x1 * y1) ^ (x2 * y0) ^ (x3 * y3)) & 0x4444444444444444) |
    (((x0 * y3) ^ (x1 * y2) ^ (x2 * y1) ^ (x3 * y0)) & 0x8888888888888888)
  )
}

/** The bits in reverse order: the high half of a product is the reverse of the low half of the reversed factors' product. */
function reverse(word: u64): u64 {
  word = ((word & 0x5555555555555555) << 1) | ((word >> 1) & 0x5555555555555555)
  word = ((word & 0x3333333333333333) << 2) | ((word >> 2) & 0x3333333333333333)
  word = ((word & 0x0f0f0f0f0f0f0f0f) << 4) | ((word >> 4) & 0x0f0f0f0f0f0f0f0f)
  return bswap<u64>(word)
}

/**
 * sum ^= hashes[0] * data[0] ^ hashes[1] * data[1] ^ ..., all 16-byte big-endian integers, modulo x^128 + x^7 + x^2 + x + 1
 * (RFC 9058 section 3). The products are summed before they are reduced.
 */
export function multiplyAdd(sum: usize, hashes: usize, data: usize, blocks: u32): void {
  let low: u64 = 0
  let middle: u64 = 0
  let high: u64 = 0
  let lowTop: u64 = 0
  let middleTop: u64 = 0
  let highTop: u64 = 0
  for (; blocks > 0; blocks--, hashes += 16, data += 16) {
    const h1 = bswap<u64>(load<u64>(hashes))
    const h0 = bswap<u64>(load<u64>(hashes, 8))
    const d1 = bswap<u64>(load<u64>(data))
    const d0 = bswap<u64>(load<u64>(data, 8))
    const reversedH1 = reverse(h1)
    const reversedH0 = reverse(h0)
    const reversedD1 = reverse(d1)
    const reversedD0 = reverse(d0)
    low ^= product(h0, d0)
    high ^= product(h1, d1)
    middle ^= product(h0 ^ h1, d0 ^ d1)
    lowTop ^= product(reversedH0, reversedD0)
    highTop ^= product(reversedH1, reversedD1)
    middleTop ^= product(reversedH0 ^ reversedH1, reversedD0 ^ reversedD1)
  }
  // Karatsuba's middle term, then the product as four words, v0 the lowest.
  middle ^= low ^ high
  middleTop ^= lowTop ^ highTop
  let v0 = low
  let v1 = (reverse(lowTop) >> 1) ^ middle
  let v2 = high ^ (reverse(middleTop) >> 1)
  const v3 = reverse(highTop) >> 1
  v2 ^= (v3 >> 63) ^ (v3 >> 62) ^ (v3 >> 57)
  v1 ^= v3 ^ (v3 << 1) ^ (v3 << 2) ^ (v3 << 7)
  v1 ^= (v2 >> 63) ^ (v2 >> 62) ^ (v2 >> 57)
  v0 ^= v2 ^ (v2 << 1) ^ (v2 << 2) ^ (v2 << 7)
  store<u64>(sum, load<u64>(sum) ^ bswap<u64>(v1))
  store<u64>(sum, load<u64>(sum, 8) ^ bswap<u64>(v0), 8)
}

/**
 * GHASH (NIST SP 800-38D section 6.4): hash = (hash ^ block) * h for every block. There the first bit is the lowest
 * coefficient, so the words are those of the reversed polynomials, and their product comes out one bit short.
 */
export function ghash(hash: usize, h: usize, data: usize, blocks: u32): void {
  const h1 = bswap<u64>(load<u64>(h))
  const h0 = bswap<u64>(load<u64>(h, 8))
  const reversedH1 = reverse(h1)
  const reversedH0 = reverse(h0)
  let y1 = bswap<u64>(load<u64>(hash))
  let y0 = bswap<u64>(load<u64>(hash, 8))
  for (; blocks > 0; blocks--, data += 16) {
    y1 ^= bswap<u64>(load<u64>(data))
    y0 ^= bswap<u64>(load<u64>(data, 8))
    const reversedY1 = reverse(y1)
    const reversedY0 = reverse(y0)
    const low = product(h0, y0)
    const high = product(h1, y1)
    const lowTop = product(reversedH0, reversedY0)
    const highTop = product(reversedH1, reversedY1)
    const middle = product(h0 ^ h1, y0 ^ y1) ^ low ^ high
    const middleTop = product(reversedH0 ^ reversedH1, reversedY0 ^ reversedY1) ^ lowTop ^ highTop
    let v0 = low
    let v1 = (reverse(lowTop) >> 1) ^ middle
    let v2 = high ^ (reverse(middleTop) >> 1)
    let v3 = reverse(highTop) >> 1
    v3 = (v3 << 1) | (v2 >> 63)
    v2 = (v2 << 1) | (v1 >> 63)
    v1 = (v1 << 1) | (v0 >> 63)
    v0 = v0 << 1
    v2 ^= v0 ^ (v0 >> 1) ^ (v0 >> 2) ^ (v0 >> 7)
    v1 ^= (v0 << 63) ^ (v0 << 62) ^ (v0 << 57)
    v3 ^= v1 ^ (v1 >> 1) ^ (v1 >> 2) ^ (v1 >> 7)
    v2 ^= (v1 << 63) ^ (v1 << 62) ^ (v1 << 57)
    y1 = v3
    y0 = v2
  }
  store<u64>(hash, bswap<u64>(y1))
  store<u64>(hash, bswap<u64>(y0), 8)
}

/** Writes `blocks` blocks of 16 bytes, counting up in the half at byte 0 or 8, and leaves the counter at the next one. */
export function fillHalfCounters(counter: usize, target: usize, blocks: u32, half: usize): void {
  const other = load<u64>(counter + (half ^ 8))
  let count = bswap<u64>(load<u64>(counter + half))
  for (; blocks > 0; blocks--, target += 16) {
    store<u64>(target + half, bswap<u64>(count))
    store<u64>(target + (half ^ 8), other)
    count++
  }
  store<u64>(counter + half, bswap<u64>(count))
}

/** target ^= source, `length` bytes, a multiple of 16. */
export { xorInto } from './shared/ctr'
