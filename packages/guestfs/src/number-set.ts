/** A set of inode numbers that costs a bit each where they lie close together. @module */

const PAGE_BITS = 4096

export class NumberSet {
  readonly #pages = new Map<number, Uint32Array>()

  /** @returns false when the number was in the set */
  add(value: number): boolean {
    const page = Math.floor(value / PAGE_BITS)
    const bit = value - page * PAGE_BITS
    let words = this.#pages.get(page)
    if (words === undefined) this.#pages.set(page, (words = new Uint32Array(PAGE_BITS / 32)))
    const word = words[bit >>> 5] as number
    const mask = 1 << (bit & 31)
    if ((word & mask) !== 0) return false
    words[bit >>> 5] = word | mask
    return true
  }
}
