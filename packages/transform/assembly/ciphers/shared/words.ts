// Big-endian words of a block, four at a time: one shuffle instead of a dozen shifts and masks a word.

// @ts-ignore: decorator
@inline
function reverseWords(value: v128): v128 {
  return i8x16.swizzle(value, i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12))
}

/** The block's four big-endian words, one a lane. */
// @ts-ignore: decorator
@inline
export function loadReversed(source: usize): v128 {
  return reverseWords(v128.load(source))
}

// @ts-ignore: decorator
@inline
export function storeReversed(target: usize, a: u32, b: u32, c: u32, d: u32): void {
  let words = i32x4.splat(a)
  words = i32x4.replace_lane(words, 1, b)
  words = i32x4.replace_lane(words, 2, c)
  v128.store(target, reverseWords(i32x4.replace_lane(words, 3, d)))
}
