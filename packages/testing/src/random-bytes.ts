/** Bytes that are the same for the same seed. @module */
import { createCipheriv } from 'node:crypto'
import type { Bytes } from '@granary/core'

/** `length` incompressible bytes, the same for the same seed. */
export const seededBytes = (length: number, seed: number): Bytes => {
  const key = Buffer.alloc(16)
  key.writeDoubleLE(seed)
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16))
  return new Uint8Array(cipher.update(Buffer.alloc(length)))
}

/** A generator of integers in [0, below), the same sequence for the same seed (xorshift128+ by way of two 32-bit lanes). */
export const seededRandom = (seed: number): ((below: number) => number) => {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  return below => {
    if (below <= 1) return 0
    const word = next() * 2 ** 21 + (next() >>> 11)
    return Math.floor((word / 2 ** 53) * below)
  }
}
