/** BLAKE2b with a digest of 32 bytes, which `node:crypto` does not offer. @see RFC 7693 @module */
import type { Bytes } from '@granary/core'

const BLOCK_BYTES = 128
const DIGEST_BYTES = 32
const ROUNDS = 12

/** §2.6: the initialization vector as 32-bit halves, the low one first. */
// prettier-ignore
const IV = Uint32Array.of(
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
  0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
)

/** §2.7: the message schedule, a hexadecimal digit a word; rounds 10 and 11 repeat 0 and 1. */
const SIGMA = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0',
].map(row => Array.from(row, digit => Number.parseInt(digit, 16) * 2))

/** §3.1: where each of the eight mixings of a round works, in words of the state. */
const MIXINGS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
].map(words => words.map(word => word * 2))

const state = new Uint32Array(32)
const message = new Uint32Array(32)

/** The digest of `bytes`, 32 bytes. */
export const blake2b256 = (bytes: Bytes): Uint8Array => {
  const hash = IV.slice()
  hash[0] = (hash[0] as number) ^ 0x01010000 ^ DIGEST_BYTES // §2.5: no key, fan-out and depth 1.
  const block = new Uint8Array(BLOCK_BYTES)
  for (let at = 0; at === 0 || at < bytes.length; at += BLOCK_BYTES) {
    const part = bytes.subarray(at, at + BLOCK_BYTES)
    if (part.length < BLOCK_BYTES) block.fill(0)
    block.set(part)
    const isLast = at + BLOCK_BYTES >= bytes.length
    compress(hash, block, isLast ? bytes.length : at + BLOCK_BYTES, isLast)
  }
  return new Uint8Array(hash.buffer.slice(0, DIGEST_BYTES))
}

/** §3.2. The last eight words of the state begin as the IV, with the byte count and the end mark mixed in. */
const compress = (hash: Uint32Array, block: Uint8Array, count: number, isLast: boolean): void => {
  const view = new DataView(block.buffer)
  for (let i = 0; i < 32; i++) message[i] = view.getUint32(i * 4, true)
  state.set(hash)
  state.set(IV, 16)
  state[24] = (state[24] as number) ^ (count % 2 ** 32)
  state[25] = (state[25] as number) ^ Math.floor(count / 2 ** 32)
  if (isLast) {
    state[28] = ~(state[28] as number)
    state[29] = ~(state[29] as number)
  }
  for (let round = 0; round < ROUNDS; round++) {
    const order = SIGMA[round % 10] as number[]
    for (let i = 0; i < 8; i++) {
      const [a, b, c, d] = MIXINGS[i] as [number, number, number, number]
      half(a, b, c, d, order[i * 2] as number, 32, 24)
      half(a, b, c, d, order[i * 2 + 1] as number, 16, 63)
    }
  }
  for (let i = 0; i < 16; i++) hash[i] = (hash[i] as number) ^ (state[i] as number) ^ (state[i + 16] as number)
}

/** Half of the mixing G: a = a + b + m; d = (d ^ a) >>> turn; c = c + d; b = (b ^ c) >>> twist, in 64 bits. */
// oxlint-disable-next-line eslint/max-params
const half = (a: number, b: number, c: number, d: number, m: number, turn: number, twist: number): void => {
  add(a, b)
  addWord(a, message[m] as number, message[m + 1] as number)
  turnRight(d, a, turn)
  add(c, d)
  turnRight(b, c, twist)
}

const add = (to: number, from: number): void => addWord(to, state[from] as number, state[from + 1] as number)

const addWord = (to: number, low: number, high: number): void => {
  const sum = (state[to] as number) + low
  state[to] = sum
  state[to + 1] = (state[to + 1] as number) + high + (sum > 0xffffffff ? 1 : 0)
}

/** Turns `at ^ with` right by 16, 24, 32 or 63 bits. */
const turnRight = (at: number, other: number, bits: number): void => {
  const low = (state[at] as number) ^ (state[other] as number)
  const high = (state[at + 1] as number) ^ (state[other + 1] as number)
  const by = bits % 32
  const [first, second] = bits < 32 ? [low, high] : [high, low]
  state[at] = by === 0 ? first : (first >>> by) | (second << (32 - by))
  state[at + 1] = by === 0 ? second : (second >>> by) | (first << (32 - by))
}
