/** Halving search. @module */

/** The last of `count` indexes for which `isBefore` holds, or -1; it must hold for a beginning of them and for no other. */
export const lastIndex = (count: number, isBefore: (index: number) => boolean): number => {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(middle)) low = middle + 1
    else high = middle
  }
  return low - 1
}
