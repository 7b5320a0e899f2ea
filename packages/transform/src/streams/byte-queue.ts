/** Bytes that came in one split and are taken in another. @module */
import type { Bytes } from '@granary/core'

/** Keeps the items it was given until they are taken: no more memory than those. */
export class ByteQueue {
  readonly #items: Bytes[] = []
  /** Bytes of the first item that were taken already. */
  #taken = 0
  #length = 0

  /** Bytes that wait. */
  get length(): number {
    return this.#length
  }

  push(bytes: Bytes): void {
    if (bytes.length === 0) return
    this.#items.push(bytes)
    this.#length += bytes.length
  }

  /** The next `length` bytes, which must be there; a view when they lie in one item. */
  take(length: number): Bytes {
    const first = this.#items[0]
    if (first !== undefined && first.length - this.#taken > length) {
      this.#taken += length
      this.#length -= length
      return first.subarray(this.#taken - length, this.#taken)
    }
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length;) {
      const item = this.#items[0] as Bytes
      const piece = item.subarray(this.#taken, this.#taken + length - at)
      bytes.set(piece, at)
      at += piece.length
      this.#taken += piece.length
      if (this.#taken === item.length) {
        this.#items.shift()
        this.#taken = 0
      }
    }
    this.#length -= length
    return bytes
  }
}
