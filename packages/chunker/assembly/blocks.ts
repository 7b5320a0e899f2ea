// What the block strategies ask of 4 KiB blocks: is it zero, and what is its NH digest. Readable twin: test/twins.ts.
const BLOCK_BYTES: usize = 4096

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
 * As `zeroBlocks`, and appends the 16-byte digest of every block that is not zero to `digests`, in order.
 * `key` is 1028 words; the second pass uses it 4 words further on.
 *
 * To test a block before its digest would wait for its first bytes at every page, at a third of the speed. So a block is
 * tested behind its digest, when it is in the cache; in a run of zeros, which needs no digests, it is tested first.
 */
export function digestBlocks(source: usize, count: i32, key: usize, flags: usize, digests: usize): i32 {
  const first = digests
  let zero = false
  for (let block = 0; block < count; block++) {
    if (!zero || !isZero(source, BLOCK_BYTES)) {
      digest(source, key, digests)
      zero = isZero(source, BLOCK_BYTES)
      digests += zero ? 0 : 16
    }
    store<u8>(flags + block, zero ? 1 : 0)
    source += BLOCK_BYTES
  }
  return i32((digests - first) >> 4)
}

// @ts-ignore: decorator
@inline
function products(left: v128, right: v128, leftKey: v128, rightKey: v128): v128 {
  const a = i32x4.add(left, leftKey)
  const b = i32x4.add(right, rightKey)
  return i64x2.add(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b))
}

/**
 * Words t and t + 4 of every 8 are a pair, so that one vector holds the left and one the right factors of four pairs.
 * The right keys of the first pass are the left ones of the second.
 */
// @ts-ignore: decorator
@inline
function digest(source: usize, key: usize, target: usize): void {
  let first = i64x2.splat(0)
  let second = i64x2.splat(0)
  let key0 = v128.load(key)
  for (let at: usize = 0; at < BLOCK_BYTES; at += 64) {
    const key1 = v128.load(key + at, 16)
    const key2 = v128.load(key + at, 32)
    let left = v128.load(source + at)
    let right = v128.load(source + at, 16)
    first = i64x2.add(first, products(left, right, key0, key1))
    second = i64x2.add(second, products(left, right, key1, key2))

    const key3 = v128.load(key + at, 48)
    key0 = v128.load(key + at, 64)
    left = v128.load(source + at, 32)
    right = v128.load(source + at, 48)
    first = i64x2.add(first, products(left, right, key2, key3))
    second = i64x2.add(second, products(left, right, key3, key0))
  }
  store<i64>(target, i64x2.extract_lane(first, 0) + i64x2.extract_lane(first, 1))
  store<i64>(target, i64x2.extract_lane(second, 0) + i64x2.extract_lane(second, 1), 8)
}
