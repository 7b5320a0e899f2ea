// What the block strategies ask of 4 KiB blocks: is it zero, and what is its NH digest. Readable twin: test/twins.ts.
const BLOCK_BYTES: usize = 4096

/** How many bytes at `source` are zero before the first that may not be, in steps of 64; `length` is a multiple of 64. */
// @ts-ignore: decorator
@inline
function isZero(source: usize, length: usize): bool {
  for (let at: usize = 0; at < length; at += 64) {
    const low = v128.or(v128.load(source + at), v128.load(source + at, 16))
    const high = v128.or(v128.load(source + at, 32), v128.load(source + at, 48))
    if (v128.any_true(v128.or(low, high))) return false
  }
  return true
}

/** Writes 1 for a zero block and 0 for another to `flags`, one byte a block. Gives back how many are not zero. */
export function zeroBlocks(source: usize, count: i32, flags: usize): i32 {
  let others = 0
  for (let block = 0; block < count; block++) {
    const zero = isZero(source, BLOCK_BYTES)
    store<u8>(flags + block, zero ? 1 : 0)
    others += zero ? 0 : 1
    source += BLOCK_BYTES
  }
  return others
}

/**
 * As `zeroBlocks`, and appends the 16-byte digest of every block that is not zero to `digests`.
 * `key` is 1028 words; the second pass uses it 4 words further on.
 */
export function digestBlocks(source: usize, count: i32, key: usize, flags: usize, digests: usize): i32 {
  const first = digests
  for (let block = 0; block < count; block++) {
    // The first 64 bytes tell most blocks apart from zero, so only few are read twice (and then from the cache).
    if (isZero(source, 64) && isZero(source, BLOCK_BYTES)) {
      store<u8>(flags + block, 1)
    } else {
      store<u8>(flags + block, 0)
      digest(source, key, digests)
      digests += 16
    }
    source += BLOCK_BYTES
  }
  return i32((digests - first) >> 4)
}

// Words t and t + 4 of every 8 are a pair, so that one vector holds the left and one the right factors of four pairs.
// @ts-ignore: decorator
@inline
function digest(source: usize, key: usize, target: usize): void {
  let lowA = i64x2.splat(0)
  let highA = i64x2.splat(0)
  let lowB = i64x2.splat(0)
  let highB = i64x2.splat(0)
  let key0 = v128.load(key)
  for (let at: usize = 0; at < BLOCK_BYTES; at += 64) {
    const left0 = v128.load(source + at)
    const right0 = v128.load(source + at, 16)
    const key1 = v128.load(key + at, 16)
    const key2 = v128.load(key + at, 32)
    const leftA0 = i32x4.add(left0, key0)
    const rightA0 = i32x4.add(right0, key1)
    lowA = i64x2.add(lowA, i64x2.extmul_low_i32x4_u(leftA0, rightA0))
    highA = i64x2.add(highA, i64x2.extmul_high_i32x4_u(leftA0, rightA0))
    const leftB0 = i32x4.add(left0, key1)
    const rightB0 = i32x4.add(right0, key2)
    lowB = i64x2.add(lowB, i64x2.extmul_low_i32x4_u(leftB0, rightB0))
    highB = i64x2.add(highB, i64x2.extmul_high_i32x4_u(leftB0, rightB0))

    const left1 = v128.load(source + at, 32)
    const right1 = v128.load(source + at, 48)
    const key3 = v128.load(key + at, 48)
    key0 = v128.load(key + at, 64)
    const leftA1 = i32x4.add(left1, key2)
    const rightA1 = i32x4.add(right1, key3)
    lowA = i64x2.add(lowA, i64x2.extmul_low_i32x4_u(leftA1, rightA1))
    highA = i64x2.add(highA, i64x2.extmul_high_i32x4_u(leftA1, rightA1))
    const leftB1 = i32x4.add(left1, key3)
    const rightB1 = i32x4.add(right1, key0)
    lowB = i64x2.add(lowB, i64x2.extmul_low_i32x4_u(leftB1, rightB1))
    highB = i64x2.add(highB, i64x2.extmul_high_i32x4_u(leftB1, rightB1))
  }
  const sumA = i64x2.add(lowA, highA)
  const sumB = i64x2.add(lowB, highB)
  store<i64>(target, i64x2.extract_lane(sumA, 0) + i64x2.extract_lane(sumA, 1))
  store<i64>(target, i64x2.extract_lane(sumB, 0) + i64x2.extract_lane(sumB, 1), 8)
}
