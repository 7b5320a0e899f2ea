/** Words in bytes, whatever the byte order of the host. @module */
import type { Bytes } from '@granary/core'

const viewOf = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** The bytes as 32-bit words, least significant byte first. */
export const readWordsLE = (bytes: Bytes): Uint32Array => {
  const view = viewOf(bytes)
  return Uint32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getUint32(i * 4, true))
}

/** The bytes as 32-bit words, most significant byte first. */
export const readWordsBE = (bytes: Bytes): Uint32Array => {
  const view = viewOf(bytes)
  return Uint32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getUint32(i * 4))
}

/** The bytes as 64-bit words, least significant byte first. */
export const readLongsLE = (bytes: Bytes): BigUint64Array => {
  const view = viewOf(bytes)
  return BigUint64Array.from({ length: bytes.length >> 3 }, (_, i) => view.getBigUint64(i * 8, true))
}

/** Writes 32-bit words as WebAssembly reads them, least significant byte first, from byte `offset` on. */
export const writeWords = (target: Bytes, offset: number, words: Iterable<number>): void => {
  const view = viewOf(target)
  let at = offset
  for (const word of words) {
    view.setUint32(at, word, true)
    at += 4
  }
}

/** Writes 64-bit words as WebAssembly reads them, least significant byte first, from byte `offset` on. */
export const writeLongs = (target: Bytes, offset: number, words: Iterable<bigint>): void => {
  const view = viewOf(target)
  let at = offset
  for (const word of words) {
    view.setBigUint64(at, BigInt.asUintN(64, word), true)
    at += 8
  }
}

/** Element `i` of a typed array that is known to be there. */
export const at = (words: { readonly [index: number]: number }, i: number): number => words[i] as number

export const rotateLeft32 = (word: number, bits: number): number => ((word << bits) | (word >>> (32 - bits))) >>> 0
