/**
 * Decompresses LZO1X.
 *
 * @see Linux Documentation/staging/lzo.rst
 * @module
 */
import type { Bytes } from '@granary/core'
import { corrupt } from '../errors.ts'

/** Fills `target` and says how much there was. @throws GranaryError `GRANARY_CORRUPT` */
export const decompressLzo = (source: Bytes, target: Bytes, where: string): number =>
  new Lzo(source, target, where).run()

class Lzo {
  readonly #source: Bytes
  readonly #target: Bytes
  readonly #where: string
  #at = 0
  #done = 0
  /** Literals that the last instruction ended with: 0 to 3, or 4 for more. */
  #state = 0

  constructor(source: Bytes, target: Bytes, where: string) {
    this.#source = source
    this.#target = target
    this.#where = where
  }

  run(): number {
    const first = this.#byte()
    if (first > 17) {
      this.#literals(first - 17)
      this.#state = first - 17 < 4 ? first - 17 : 4
    } else this.#at--
    while (this.#step());
    return this.#done
  }

  #byte(): number {
    const value = this.#source[this.#at++]
    if (value === undefined) throw corrupt(this.#where, 'the end of an LZO stream', 'the end of its bytes')
    return value
  }

  #literals(count: number): void {
    if (this.#at + count > this.#source.length || this.#done + count > this.#target.length)
      throw corrupt(this.#where, 'literals inside the stream', count)
    this.#target.set(this.#source.subarray(this.#at, this.#at + count), this.#done)
    this.#at += count
    this.#done += count
  }

  /** A length whose low bits are all zero goes on in the bytes that follow. */
  #length(low: number, base: number): number {
    if (low !== 0) return low
    let length = base
    for (let byte = this.#byte(); ; byte = this.#byte()) {
      if (byte !== 0) return length + byte
      length += 255
    }
  }

  /** @returns false at the end of the stream */
  #step(): boolean {
    const code = this.#byte()
    if (code < 16 && this.#state === 0) {
      this.#literals(this.#length(code, 15) + 3)
      this.#state = 4
      return true
    }
    const match = this.#match(code)
    if (match === undefined) return false
    this.#copy(match.distance, match.length)
    this.#state = match.state
    this.#literals(match.state)
    return true
  }

  #match(code: number): { distance: number; length: number; state: number } | undefined {
    if (code >= 64) {
      const length = code >= 128 ? 5 + ((code >> 5) & 3) : 3 + ((code >> 5) & 1)
      return { length, distance: (this.#byte() << 3) + ((code >> 2) & 7) + 1, state: code & 3 }
    }
    if (code >= 32) {
      const length = this.#length(code & 31, 31) + 2
      const word = this.#byte() | (this.#byte() << 8)
      return { length, distance: (word >> 2) + 1, state: word & 3 }
    }
    if (code >= 16) {
      const length = this.#length(code & 7, 7) + 2
      const word = this.#byte() | (this.#byte() << 8)
      const distance = 16_384 + ((code & 8) << 11) + (word >> 2)
      return distance === 16_384 ? undefined : { length, distance, state: word & 3 }
    }
    const high = this.#byte() << 2
    if (this.#state === 4) return { length: 3, distance: high + (code >> 2) + 2049, state: code & 3 }
    return { length: 2, distance: high + (code >> 2) + 1, state: code & 3 }
  }

  /** Byte by byte, as what is copied may overlap itself. */
  #copy(distance: number, length: number): void {
    if (distance > this.#done || this.#done + length > this.#target.length)
      throw corrupt(this.#where, 'a match inside the output', `${distance}, ${length}`)
    for (let i = 0; i < length; i++, this.#done++)
      this.#target[this.#done] = this.#target[this.#done - distance] as number
  }
}
