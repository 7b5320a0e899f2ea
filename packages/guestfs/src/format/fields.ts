/** Reads integers out of on-disk structures; whatever lies outside the bytes at hand is an error, never a zero. @module */
import type { Bytes } from '@granary/core'
import { corrupt } from '../errors.ts'

/** A structure of fixed byte order. Offsets are bytes from the start of the structure. */
export class Fields {
  readonly bytes: Bytes
  readonly where: string
  readonly #view: DataView
  readonly #isLittle: boolean

  /** @param where names the structure in errors */
  constructor(bytes: Bytes, where: string, order: 'little' | 'big' = 'little') {
    this.bytes = bytes
    this.where = where
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#isLittle = order === 'little'
  }

  get length(): number {
    return this.bytes.length
  }

  #check(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.bytes.length) return
    throw corrupt(this.where, `a field inside ${this.bytes.length} bytes`, `${offset}+${length}`)
  }

  u8(offset: number): number {
    this.#check(offset, 1)
    return this.#view.getUint8(offset)
  }

  u16(offset: number): number {
    this.#check(offset, 2)
    return this.#view.getUint16(offset, this.#isLittle)
  }

  u32(offset: number): number {
    this.#check(offset, 4)
    return this.#view.getUint32(offset, this.#isLittle)
  }

  i32(offset: number): number {
    this.#check(offset, 4)
    return this.#view.getInt32(offset, this.#isLittle)
  }

  big64(offset: number): bigint {
    this.#check(offset, 8)
    return this.#view.getBigUint64(offset, this.#isLittle)
  }

  bigSigned64(offset: number): bigint {
    this.#check(offset, 8)
    return this.#view.getBigInt64(offset, this.#isLittle)
  }

  /** A 64-bit field where a sound one is below 2^53. @throws GranaryError `GRANARY_CORRUPT` when it is not */
  u64(offset: number): number {
    const value = this.big64(offset)
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
    throw corrupt(`${this.where}, field at ${offset}`, 'a number below 2^53', value)
  }

  /** A view, not a copy. */
  slice(offset: number, length: number): Bytes {
    this.#check(offset, length)
    return this.bytes.subarray(offset, offset + length)
  }

  /** Bytes as Latin-1 text, for signatures. */
  ascii(offset: number, length: number): string {
    return String.fromCharCode(...this.slice(offset, length))
  }
}
