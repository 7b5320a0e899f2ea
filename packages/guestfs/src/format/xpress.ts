/** XPRESS with Huffman codes, as compact files of Windows have it. @see MS-XCA, sections 2.1 and 2.2 @module */
import type { Bytes } from '@granary/core'
import { corrupt } from '../errors.ts'

const SYMBOLS = 512
const TABLE_BYTES = 256
const MAX_BITS = 15

/** One chunk of at most 64 KiB, of known length. */
export const decompressXpress = (source: Bytes, length: number, where: string): Bytes => {
  const lookup = decodeTable(source, where)
  const target = new Uint8Array(length)
  const word = (at: number): number => (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)
  let at = TABLE_BYTES + 4
  // Thirty-two bits, read sixteen at a time; bytes of long lengths stand between.
  let bits = ((word(TABLE_BYTES) << 16) | word(TABLE_BYTES + 2)) >>> 0
  let left = 16
  const skip = (count: number): void => {
    bits = (bits << count) >>> 0
    left -= count
    if (left >= 0) return
    bits = (bits | (word(at) << -left)) >>> 0
    at += 2
    left += 16
  }
  for (let done = 0; done < length;) {
    const entry = lookup[bits >>> (32 - MAX_BITS)] as number
    if (entry === 0) throw corrupt(where, 'a code of the table', bits)
    if (at > source.length + 4) throw corrupt(where, 'a chunk that is whole', 'the end of its bytes')
    skip(entry & 0xf)
    const symbol = entry >> 4
    if (symbol < 256) {
      target[done++] = symbol
      continue
    }
    let count = symbol & 0xf
    const distanceBits = (symbol >> 4) & 0xf
    if (count === 15) {
      count = source[at++] ?? 0
      if (count === 255) {
        count = word(at)
        at += 2
        if (count === 0) {
          count = word(at) + word(at + 2) * 65_536
          at += 4
        }
        if (count < 15) throw corrupt(where, 'a long match', count)
        count -= 15
      }
      count += 15
    }
    const distance = (distanceBits === 0 ? 0 : bits >>> (32 - distanceBits)) + 2 ** distanceBits
    skip(distanceBits)
    if (distance > done) throw corrupt(where, 'a match inside the output', distance)
    for (let end = Math.min(done + count + 3, length); done < end; done++)
      target[done] = target[done - distance] as number
  }
  return target
}

/** Symbol and length by the next fifteen bits. */
const decodeTable = (source: Bytes, where: string): Uint16Array => {
  if (source.length < TABLE_BYTES + 4) throw corrupt(where, 'a table of codes', source.length)
  const lookup = new Uint16Array(2 ** MAX_BITS)
  let next = 0
  for (let bits = 1; bits <= MAX_BITS; bits++) {
    for (let symbol = 0; symbol < SYMBOLS; symbol++) {
      const byte = source[symbol >> 1] as number
      if ((symbol % 2 === 0 ? byte & 0xf : byte >> 4) !== bits) continue
      const end = next + 2 ** (MAX_BITS - bits)
      if (end > lookup.length) throw corrupt(where, 'a table of codes', 'one with too many')
      lookup.fill((symbol << 4) | bits, next, end)
      next = end
    }
  }
  return lookup
}
