/** Which bytes of an image were moved: overlapping ranges count once. @module */
import type { Range } from '@granary/core'

/** The bytes of a union of ranges. */
export const unionBytes = (ranges: Iterable<Range>): number => {
  let sum = 0
  let end = 0
  for (const range of [...ranges].toSorted((left, right) => left.offset - right.offset)) {
    const rangeEnd = range.offset + range.length
    sum += Math.max(0, rangeEnd - Math.max(range.offset, end))
    end = Math.max(end, rangeEnd)
  }
  return sum
}

/** Ranges that are joined as they come, so that a long transfer keeps few. */
export class ByteRanges {
  #ranges: Range[] = []

  add(range: Range): void {
    if (range.length === 0) return
    const touching = (other: Range): boolean =>
      other.offset <= range.offset + range.length && range.offset <= other.offset + other.length
    const joined = this.#ranges.filter(touching).concat(range)
    const offset = Math.min(...joined.map(one => one.offset))
    const end = Math.max(...joined.map(one => one.offset + one.length))
    this.#ranges = this.#ranges.filter(one => !touching(one))
    this.#ranges.push({ offset, length: end - offset })
  }

  get ranges(): readonly Range[] {
    return this.#ranges
  }
}
