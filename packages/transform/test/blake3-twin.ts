/**
 * BLAKE3 as the paper has it, to be read beside it: no streaming, no vectors, one function a section. The kernel is held
 * against it.
 */
import type { Bytes } from '@granary/core'

const IV = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
)
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
const CHUNK_START = 1
const CHUNK_END = 2
const PARENT = 4
const ROOT = 8

/** Flags of the modes. */
export const TWIN_FLAGS = { hash: 0, keyed: 16, deriveContext: 32, deriveMaterial: 64 } as const

interface Node {
  readonly cv: Uint32Array
  readonly block: Uint32Array
  readonly counter: number
  readonly length: number
  readonly flags: number
}

/** The hash of `input`: `lengthBytes` bytes, under a key of eight words (the initial value when there is none). */
export const twinHash = (input: Bytes, flags: number, lengthBytes: number, key: Uint32Array = IV): Bytes => {
  const root = subtree(input, 0, key, flags)
  const out = new Uint8Array(lengthBytes)
  for (let at = 0; at < lengthBytes; at += 64) {
    const block = compress({ ...root, counter: at / 64, flags: root.flags | ROOT })
    out.set(new Uint8Array(block.buffer).subarray(0, Math.min(64, lengthBytes - at)), at)
  }
  return out
}

/** 32 bytes as eight words. */
export const twinKey = (key: Bytes): Uint32Array => words(key, 8)

/** Section 2.1: the left subtree is as large as a power of two can be that leaves something for the right. */
const subtree = (input: Bytes, firstChunk: number, key: Uint32Array, flags: number): Node => {
  if (input.length <= 1024) return chunk(input, firstChunk, key, flags)
  const chunks = Math.ceil(input.length / 1024)
  const left = 2 ** Math.floor(Math.log2(chunks - 1))
  const block = new Uint32Array(16)
  block.set(chainingValue(subtree(input.subarray(0, left * 1024), firstChunk, key, flags)))
  block.set(chainingValue(subtree(input.subarray(left * 1024), firstChunk + left, key, flags)), 8)
  return { cv: key, block, counter: 0, length: 64, flags: flags | PARENT }
}

/** Section 2.4. */
const chunk = (input: Bytes, counter: number, key: Uint32Array, flags: number): Node => {
  let cv = key
  for (let at = 0; ; at += 64) {
    const bytes = input.subarray(at, at + 64)
    const isLast = at + 64 >= input.length
    const edge = (at === 0 ? CHUNK_START : 0) | (isLast ? CHUNK_END : 0)
    const node = { cv, block: words(bytes, 16), counter, length: bytes.length, flags: flags | edge }
    if (isLast) return node
    cv = chainingValue(node)
  }
}

const chainingValue = (node: Node): Uint32Array => compress(node).slice(0, 8)

const words = (bytes: Bytes, count: number): Uint32Array => {
  const padded = new Uint8Array(count * 4)
  padded.set(bytes)
  return new Uint32Array(padded.buffer)
}

const rotate = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits))

/** Section 2.2. */
const compress = ({ cv, block, counter, length, flags }: Node): Uint32Array => {
  const v = Uint32Array.of(...cv, ...IV.subarray(0, 4), counter, Math.floor(counter / 2 ** 32), length, flags)
  const quarter = (a: number, b: number, c: number, d: number, x: number, y: number): void => {
    v[a] = at(v, a) + at(v, b) + x
    v[d] = rotate(at(v, d) ^ at(v, a), 16)
    v[c] = at(v, c) + at(v, d)
    v[b] = rotate(at(v, b) ^ at(v, c), 12)
    v[a] = at(v, a) + at(v, b) + y
    v[d] = rotate(at(v, d) ^ at(v, a), 8)
    v[c] = at(v, c) + at(v, d)
    v[b] = rotate(at(v, b) ^ at(v, c), 7)
  }
  let m = block
  for (let round = 0; round < 7; round++) {
    for (let i = 0; i < 4; i++) quarter(i, 4 + i, 8 + i, 12 + i, at(m, 2 * i), at(m, 2 * i + 1))
    for (let i = 0; i < 4; i++) {
      quarter(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4), at(m, 8 + 2 * i), at(m, 9 + 2 * i))
    }
    const previous = m
    m = Uint32Array.from(PERMUTATION, from => at(previous, from))
  }
  for (let i = 0; i < 8; i++) {
    v[i] = at(v, i) ^ at(v, i + 8)
    v[i + 8] = at(v, i + 8) ^ at(cv, i)
  }
  return v
}

const at = (array: Uint32Array, index: number): number => array[index] as number
