/**
 * LZX with a window of 32 KiB, as compact files of Windows and WIM images have it: each chunk stands alone.
 *
 * @see Microsoft LZX DELTA specification (MS-PATCH), sections 2.1 to 2.7; wimlib, src/lzx_decompress.c for what WIM changes
 * @module
 */
import type { Bytes } from '@granary/core'
import { corrupt } from '../errors.ts'

const DEFAULT_BLOCK_BYTES = 32_768
const OFFSET_SLOTS = 30
const MAIN_SYMBOLS = 256 + OFFSET_SLOTS * 8
const LENGTH_SYMBOLS = 249
const BLOCK = { verbatim: 1, aligned: 2, plain: 3 } as const
const MAX_BITS = 16

/** Calls are stored with absolute targets, as if the file had this size. */
const CALL_FILE_BYTES = 12_000_000
const CALL = 0xe8

/** One chunk of at most 32 KiB, of known length. */
export const decompressLzx = (source: Bytes, length: number, where: string): Bytes => {
  const target = new Uint8Array(length)
  new Lzx(source, target, where).run()
  restoreCalls(target)
  return target
}

/** A canonical Huffman code. */
class Code {
  readonly #counts = new Uint16Array(MAX_BITS + 1)
  readonly #symbols: Uint16Array
  readonly #where: string

  constructor(lengths: Uint8Array, where: string) {
    this.#where = where
    for (const length of lengths) if (length > 0) this.#counts[length] = (this.#counts[length] as number) + 1
    const next = new Uint16Array(MAX_BITS + 2)
    for (let bits = 1; bits <= MAX_BITS; bits++)
      next[bits + 1] = (next[bits] as number) + (this.#counts[bits] as number)
    this.#symbols = new Uint16Array(lengths.length)
    for (const [symbol, length] of lengths.entries()) {
      if (length === 0) continue
      const at = next[length] as number
      this.#symbols[at] = symbol
      next[length] = at + 1
    }
  }

  read(bits: Bits): number {
    let code = 0
    let first = 0
    let index = 0
    for (let length = 1; length <= MAX_BITS; length++) {
      code |= bits.read(1)
      const count = this.#counts[length] as number
      if (code - first < count) return this.#symbols[index + code - first] as number
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    throw corrupt(this.#where, 'a code of the table', code)
  }
}

/** Words of sixteen bits, the highest bit first. */
class Bits {
  readonly #source: Bytes
  readonly #where: string
  #at = 0
  #word = 0
  #left = 0

  constructor(source: Bytes, where: string) {
    this.#source = source
    this.#where = where
  }

  read(count: number): number {
    let value = 0
    for (let wanted = count; wanted > 0;) {
      if (this.#left === 0) {
        if (this.#at > this.#source.length) throw corrupt(this.#where, 'a chunk that is whole', 'the end of its bytes')
        this.#word = (this.#source[this.#at] ?? 0) | ((this.#source[this.#at + 1] ?? 0) << 8)
        this.#at += 2
        this.#left = 16
      }
      const taken = Math.min(wanted, this.#left)
      this.#left -= taken
      value = (value << taken) | ((this.#word >> this.#left) & ((1 << taken) - 1))
      wanted -= taken
    }
    return value
  }

  /** Whole bytes from the next word on. */
  bytes(count: number): Bytes {
    this.#left = 0
    const bytes = this.#source.subarray(this.#at, this.#at + count)
    if (bytes.length < count) throw corrupt(this.#where, `${count} bytes`, bytes.length)
    this.#at += count
    return bytes
  }

  /** Before plain bytes stands at least one bit of padding. */
  skipToWord(): void {
    if (this.#left === 0) this.#at += 2
    this.#left = 0
  }
}

class Lzx {
  readonly #bits: Bits
  readonly #target: Bytes
  readonly #where: string
  readonly #mainLengths = new Uint8Array(MAIN_SYMBOLS)
  readonly #lengthLengths = new Uint8Array(LENGTH_SYMBOLS)
  #recent: [number, number, number] = [1, 1, 1]
  #done = 0

  constructor(source: Bytes, target: Bytes, where: string) {
    this.#bits = new Bits(source, where)
    this.#target = target
    this.#where = where
  }

  run(): void {
    while (this.#done < this.#target.length) {
      const type = this.#bits.read(3)
      const size = this.#bits.read(1) === 1 ? DEFAULT_BLOCK_BYTES : this.#bits.read(16)
      const end = this.#done + size
      if (size === 0 || end > this.#target.length) throw corrupt(this.#where, 'a block inside the chunk', size)
      if (type === BLOCK.plain) this.#plain(size)
      else if (type === BLOCK.verbatim || type === BLOCK.aligned) this.#block(type, end)
      else throw corrupt(this.#where, 'a block of type 1 to 3', type)
    }
  }

  #plain(size: number): void {
    this.#bits.skipToWord()
    const offsets = this.#bits.bytes(12)
    const view = new DataView(offsets.buffer, offsets.byteOffset)
    this.#recent = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)]
    this.#target.set(this.#bits.bytes(size), this.#done)
    this.#done += size
    if (size % 2 === 1 && this.#done < this.#target.length) this.#bits.bytes(1)
  }

  #block(type: number, end: number): void {
    let aligned: Code | undefined
    if (type === BLOCK.aligned)
      aligned = new Code(
        Uint8Array.from({ length: 8 }, () => this.#bits.read(3)),
        this.#where,
      )
    this.#readLengths(this.#mainLengths.subarray(0, 256))
    this.#readLengths(this.#mainLengths.subarray(256))
    const main = new Code(this.#mainLengths, this.#where)
    this.#readLengths(this.#lengthLengths)
    const lengths = new Code(this.#lengthLengths, this.#where)
    while (this.#done < end) {
      const symbol = main.read(this.#bits)
      if (symbol < 256) this.#target[this.#done++] = symbol
      else this.#match(symbol - 256, lengths, aligned, end)
    }
  }

  /** Lengths of codes are kept as differences from those of the block before, themselves in a code. */
  #readLengths(lengths: Uint8Array): void {
    const code = new Code(
      Uint8Array.from({ length: 20 }, () => this.#bits.read(4)),
      this.#where,
    )
    const changed = (at: number, symbol: number): number => ((lengths[at] as number) - symbol + 17) % 17
    for (let at = 0; at < lengths.length;) {
      const symbol = code.read(this.#bits)
      if (symbol < 17) {
        lengths[at] = changed(at, symbol)
        at++
        continue
      }
      const count =
        symbol === 17 ? this.#bits.read(4) + 4 : symbol === 18 ? this.#bits.read(5) + 20 : this.#bits.read(1) + 4
      const value = symbol === 19 ? changed(at, code.read(this.#bits)) : 0
      lengths.fill(value, at, at + count)
      at += count
    }
  }

  #match(symbol: number, lengths: Code, aligned: Code | undefined, end: number): void {
    let length = (symbol & 7) + 2
    if (length === 9) length += lengths.read(this.#bits)
    const distance = this.#distance(symbol >> 3, aligned)
    if (distance > this.#done || this.#done + length > end)
      throw corrupt(this.#where, 'a match inside the block', distance)
    for (let i = 0; i < length; i++, this.#done++)
      this.#target[this.#done] = this.#target[this.#done - distance] as number
  }

  #distance(slot: number, aligned: Code | undefined): number {
    const [first, second, third] = this.#recent
    if (slot === 0) return first
    if (slot === 1) this.#recent = [second, first, third]
    else if (slot === 2) this.#recent = [third, second, first]
    else {
      const extra = slot < 4 ? 0 : (slot >> 1) - 1
      const base = slot < 4 ? slot : (2 + (slot & 1)) << extra
      const low =
        aligned !== undefined && extra >= 3
          ? (this.#bits.read(extra - 3) << 3) + aligned.read(this.#bits)
          : this.#bits.read(extra)
      this.#recent = [base + low - 2, first, second]
    }
    return this.#recent[0]
  }
}

/** Calls in x86 code have relative targets again. */
const restoreCalls = (bytes: Bytes): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length - 10; at++) {
    if (bytes[at] !== CALL) continue
    const absolute = view.getInt32(at + 1, true)
    if (absolute >= 0 && absolute < CALL_FILE_BYTES) view.setInt32(at + 1, absolute - at, true)
    else if (absolute < 0 && absolute >= -at) view.setInt32(at + 1, absolute + CALL_FILE_BYTES, true)
    at += 4
  }
}
