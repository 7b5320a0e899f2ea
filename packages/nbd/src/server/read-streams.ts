/** Tells linear readers from others, and how far to read ahead of them. @module */

/** Linear readers that are told apart. */
const MAX_STREAMS = 16
/** Reads in a row that make a reader linear. */
const LINEAR_READS = 3
/** How far behind or ahead a read may be to belong to a reader: requests may overtake each other a little. */
const SLACK_BYTES = 128 * 1024

interface Stream {
  nextOffset: number
  reads: number
  aheadBytes: number
  aheadOffset: number
}

export interface Followed {
  /** The read goes on where earlier ones ended. */
  readonly isLinear: boolean
  /** What to load now; length 0 for nothing. */
  readonly ahead: { readonly offset: number; readonly length: number }
}

export class ReadStreams {
  readonly #maxAheadBytes: number
  readonly #stepBytes: number
  /** Most recently used last. */
  readonly #streams: Stream[] = []

  constructor(maxAheadBytes: number, stepBytes: number) {
    this.#maxAheadBytes = maxAheadBytes
    this.#stepBytes = stepBytes
  }

  /** Notes a read. */
  follow(offset: number, length: number): Followed {
    const end = offset + length
    const at = this.#streams.findIndex(
      ({ nextOffset }) => offset <= nextOffset + SLACK_BYTES && offset >= nextOffset - SLACK_BYTES,
    )
    const [stream] = at < 0 ? [undefined] : this.#streams.splice(at, 1)
    const followed = stream ?? { nextOffset: end, reads: 0, aheadBytes: 0, aheadOffset: end }
    // A read behind the reader's place may be anybody's; only going on counts.
    const isOnward = stream === undefined || offset >= stream.nextOffset
    if (isOnward) followed.reads++
    followed.nextOffset = Math.max(followed.nextOffset, end)
    this.#streams.push(followed)
    if (this.#streams.length > MAX_STREAMS) this.#streams.shift()
    const isLinear = isOnward && followed.reads >= LINEAR_READS
    return { isLinear, ahead: isLinear ? this.#advance(followed) : { offset: end, length: 0 } }
  }

  /** Doubles the distance while the reader keeps going. */
  #advance(stream: Stream): { offset: number; length: number } {
    stream.aheadBytes = Math.min(this.#maxAheadBytes, Math.max(this.#stepBytes, stream.aheadBytes * 2))
    const start = Math.max(stream.nextOffset, stream.aheadOffset)
    const end = stream.nextOffset + stream.aheadBytes
    if (end - start < this.#stepBytes && start !== stream.nextOffset) return { offset: start, length: 0 }
    stream.aheadOffset = Math.max(start, end)
    return { offset: start, length: Math.max(0, end - start) }
  }
}
