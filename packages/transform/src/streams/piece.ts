/** The items that pass between stages. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

/** A chunk of a stream, as a chunker gives them: pieces come in order and cover the stream. */
export type Piece = DataPiece | ZeroPiece

export interface DataPiece {
  readonly kind: 'data'
  /** Where it begins in the stream, bytes. */
  readonly offset: number
  /** Its length in the stream, bytes. */
  readonly length: number
  /** Its bytes, owned by the receiver; fewer than `length` when they are compressed. */
  readonly bytes: Bytes
  /** Id of the compression of `bytes`. @default 0, none */
  readonly compression?: number
}

/** A run of zeros. */
export interface ZeroPiece {
  readonly kind: 'zero'
  readonly offset: number
  readonly length: number
}

/** What stages take: pieces of a chunker, or plain bytes of any split. Not both in one stream. */
export type StageInput = Piece | Bytes

/** Length that plain bytes are regrouped to, bytes: all groups of a stream but the last. */
export const REGROUPED_BYTES = 128 * 1024

/** Longest piece, bytes: the longest chunk is 4 MiB. */
export const MAX_PIECE_BYTES = 64 * 1024 * 1024

/** Turns what a stage is given into pieces: those of a chunker as they are, plain bytes in groups of 128 KiB. */
export class PieceReader {
  #group = new Uint8Array(REGROUPED_BYTES)
  #filled = 0
  #offset = 0;

  *push(item: StageInput): Generator<Piece, void, undefined> {
    if (!(item instanceof Uint8Array)) {
      checkPiece(item)
      yield item
      return
    }
    for (let at = 0; at < item.length;) {
      const length = Math.min(item.length - at, REGROUPED_BYTES - this.#filled)
      this.#group.set(item.subarray(at, at + length), this.#filled)
      this.#filled += length
      at += length
      if (this.#filled === REGROUPED_BYTES) yield* this.finish()
    }
  }

  *finish(): Generator<Piece, void, undefined> {
    const length = this.#filled
    if (length === 0) return
    const offset = this.#offset
    const bytes = this.#group.subarray(0, length)
    this.#group = new Uint8Array(REGROUPED_BYTES)
    this.#filled = 0
    this.#offset += length
    yield { kind: 'data', offset, length, bytes }
  }
}

const checkPiece = (piece: Piece): void => {
  const isPiece =
    typeof piece === 'object' &&
    piece !== null &&
    (piece.kind === 'zero' || (piece.kind === 'data' && isData(piece))) &&
    isCount(piece.offset) &&
    isCount(piece.length)
  if (isPiece) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `a stage was given a ${typeof piece}: expected bytes or a chunk`, {
    detail: { argument: 'source', got: typeof piece },
  })
}

/** Plain bytes are as long as they say; compressed ones are shorter, and checked where they are opened. */
const isData = ({ bytes, length, compression = 0 }: DataPiece): boolean =>
  bytes instanceof Uint8Array && length <= MAX_PIECE_BYTES && (compression !== 0 || bytes.length === length)

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0
