/** Content of files, piece by piece. @module */
import type { AbortOptions, Bytes, DiskReader, Range } from '@granary/core'

const PIECE_BYTES = 1024 * 1024

/** The ranges of a file that are data, ascending; those that touch are one. */
export async function* dataRangesOf(
  file: DiskReader,
  options: AbortOptions = {},
): AsyncGenerator<Range, void, undefined> {
  if (file.sizeBytes === 0) return
  let last: { offset: number; length: number } | undefined
  for await (const { offset, length, kind } of file.extents(options)) {
    if (kind !== 'data') continue
    if (last !== undefined && last.offset + last.length === offset) last.length += length
    else {
      if (last !== undefined) yield last
      last = { offset, length }
    }
  }
  if (last !== undefined) yield last
}

export interface Piece {
  readonly offset: number
  /** The next but one piece is read into the same memory. */
  readonly bytes: Bytes
}

/** Reads ranges in pieces of at most 1 MiB, the next one while the caller works on the last. */
export async function* readPieces(
  file: DiskReader,
  ranges: Iterable<Range> | AsyncIterable<Range>,
  options: AbortOptions = {},
): AsyncGenerator<Piece, void, undefined> {
  const buffers = [0, 1].map(() => new Uint8Array(Math.min(PIECE_BYTES, file.sizeBytes)))
  let turn = 0
  let ahead: Promise<Piece> | undefined
  try {
    for await (const { offset, length } of ranges) {
      for (let at = offset; at < offset + length; at += PIECE_BYTES) {
        options.signal?.throwIfAborted()
        const bytes = (buffers[turn++ % 2] as Bytes).subarray(0, Math.min(PIECE_BYTES, offset + length - at))
        const previous = ahead
        // The buffer of the piece before the previous one is free: whoever had that asked for more.
        const reading = file.read(at, bytes, options).then(() => ({ offset: at, bytes }))
        reading.catch(() => undefined) // Reported when its turn comes.
        ahead = reading
        if (previous !== undefined) yield await previous
      }
    }
    if (ahead !== undefined) yield await ahead
  } finally {
    await ahead?.catch(() => undefined) // Nothing reads into memory that was given up.
  }
}
