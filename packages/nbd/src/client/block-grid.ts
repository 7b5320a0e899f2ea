/** Alignment of requests to the smallest block of an export. @module */
import { GranaryError } from '@granary/core'
import type { Negotiated } from './negotiate.ts'

/** A range of bytes. */
export interface Range {
  readonly offset: number
  readonly length: number
}

export class BlockGrid {
  readonly minBytes: number
  readonly #sizeBytes: number
  /** Bytes that aligned requests can reach. */
  readonly #reachableBytes: number

  constructor({ blockSizes, sizeBytes, isBlockSizeTold }: Negotiated) {
    this.minBytes = blockSizes.minBytes
    this.#sizeBytes = sizeBytes
    // A server that told its block size refuses the tail of an odd size; one that did not takes any length.
    this.#reachableBytes = isBlockSizeTold ? sizeBytes - (sizeBytes % this.minBytes) : sizeBytes
  }

  isAligned({ offset, length }: Range): boolean {
    const end = offset + length
    return offset % this.minBytes === 0 && (end % this.minBytes === 0 || end === this.#reachableBytes)
  }

  /**
   * The smallest aligned range around `range`.
   *
   * @throws GranaryError `GRANARY_UNSUPPORTED` when the range reaches into a tail that the server's own block size puts out of reach
   */
  around({ offset, length }: Range): Range {
    const end = offset + length
    if (end > this.#reachableBytes)
      throw new GranaryError(
        'GRANARY_UNSUPPORTED',
        `NBD: the export of ${this.#sizeBytes} bytes is no multiple of its block size ${this.minBytes}; its tail cannot be reached`,
        { detail: { offset, length, reachableBytes: this.#reachableBytes, blockBytes: this.minBytes } },
      )
    const start = offset - (offset % this.minBytes)
    return { offset: start, length: Math.min(this.up(end), this.#reachableBytes) - start }
  }

  /** The largest aligned range inside `range`; its length is 0 when there is none. */
  inside({ offset, length }: Range): Range {
    const start = this.up(offset)
    const end = offset + length === this.#reachableBytes ? this.#reachableBytes : this.down(offset + length)
    return { offset: start, length: Math.max(0, end - start) }
  }

  down(offset: number): number {
    return offset - (offset % this.minBytes)
  }

  up(offset: number): number {
    return this.down(offset + this.minBytes - 1)
  }
}

/** Cuts a range into pieces of at most `pieceBytes`. */
export function* piecesOf({ offset, length }: Range, pieceBytes: number): Generator<Range> {
  for (let at = 0; at < length; at += pieceBytes)
    yield { offset: offset + at, length: Math.min(pieceBytes, length - at) }
}
