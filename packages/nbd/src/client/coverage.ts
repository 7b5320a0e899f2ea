/** Which bytes of a read have arrived: chunks may come in any order, but must not overlap. @module */
import { protocolError } from '../protocol/fields.ts'

/** Most separate islands a server may leave open in one read. */
const MAX_ISLANDS = 4096

/** A set of ranges in [0, length), kept sorted and merged. */
export class Coverage {
  readonly #length: number
  /** Starts and ends, alternating. */
  readonly #edges: number[] = []

  constructor(length: number) {
    this.#length = length
  }

  get isComplete(): boolean {
    return this.#edges.length === 2 && this.#edges[0] === 0 && this.#edges[1] === this.#length
  }

  /** @throws GranaryError `GRANARY_PROTOCOL` when the range leaves the read, or overlaps one that is there */
  add(start: number, length: number): void {
    const end = start + length
    if (start < 0 || length <= 0 || end > this.#length)
      throw protocolError('a chunk lies outside of its request', { start, end, lengthBytes: this.#length })
    const edges = this.#edges
    const at = this.#firstEndAtOrAfter(start)
    const [nextStart = Infinity, nextEnd] = [edges[at], edges[at + 1]]
    // The range found ends at `start` when it touches from the left; the one after it must begin at `end` or later.
    const touchesLeft = nextEnd === start
    const following = touchesLeft ? (edges[at + 2] ?? Infinity) : nextStart
    if (following < end) throw protocolError('two chunks of one read overlap', { start, end })
    const touchesRight = following === end
    if (touchesLeft && touchesRight) edges.splice(at + 1, 2)
    else if (touchesLeft) edges[at + 1] = end
    else if (touchesRight) edges[at] = start
    else edges.splice(at, 0, start, end)
    if (edges.length > 2 * MAX_ISLANDS) throw protocolError(`one read arrives in more than ${MAX_ISLANDS} islands`)
  }

  /** Index of the first range whose end is at or after `start`; the number of edges when there is none. */
  #firstEndAtOrAfter(start: number): number {
    let [low, high] = [0, this.#edges.length / 2]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#edges[middle * 2 + 1] as number) < start) low = middle + 1
      else high = middle
    }
    return low * 2
  }
}
