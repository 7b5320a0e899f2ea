/** Counter blocks: big-endian integers of one block. @module */
import type { Bytes } from '@granary/core'

/** Adds `blocks` to a big-endian integer, which wraps. */
export const advanceCounter = (counter: Bytes, blocks: number): void => {
  let carry = blocks
  for (let i = counter.length - 1; i >= 0 && carry > 0; i--) {
    const sum = (counter[i] as number) + (carry % 256)
    counter[i] = sum
    carry = Math.floor(carry / 256) + (sum >> 8)
  }
}
