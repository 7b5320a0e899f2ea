/** Cuts a copy into pieces that can be done in any order. @module */
import type { DiskReader, Extent } from '../disk.ts'
import type { ExtentKind } from '../disk.ts'
import { mergeExtents, overlayExtents } from '../extents/extents.ts'
import type { Range } from '../extents/range.ts'

/**
 * What the target shows where a piece goes: `zeros` is known, `unknown` is written over without a look,
 * `data` is read and compared.
 */
export type TargetState = 'zeros' | 'unknown' | 'data'

/** A range of one kind on both sides. Pieces of `data` on either side are at most a buffer long. */
export interface CopyPiece extends Range {
  readonly kind: ExtentKind
  readonly target: TargetState
}

/** Pieces of zeros need no buffer, but a bound all the same, so that progress shows and aborts are heard. */
const ZERO_PIECE_BYTES = 1024 ** 3

export interface CopyPiecesOptions {
  /** Longest piece that needs a buffer, bytes. */
  readonly bufferBytes: number
  /** What the target shows: the same everywhere, or as its own extents say. */
  readonly target: TargetState | DiskReader
  readonly signal?: AbortSignal | undefined
}

/** The pieces of a whole disk, in order. Borders are at multiples of `bufferBytes` of the disk, so that writes stay aligned. */
export async function* copyPieces(
  reader: DiskReader,
  { bufferBytes, target, signal }: CopyPiecesOptions,
): AsyncGenerator<CopyPiece, void, undefined> {
  // Only the kind counts here: extents that differ in other ways are one.
  const source = mergeExtents(kindsOf(reader.extents({ signal })))
  if (typeof target === 'string') {
    for await (const extent of source) yield* cut({ ...extent, target }, bufferBytes)
    return
  }
  const there = mergeExtents(kindsOf(target.extents({ length: reader.sizeBytes, signal })))
  for await (const { extent, over } of overlayExtents(source, there)) {
    const isZero = over !== undefined && over.kind !== 'data'
    yield* cut({ ...extent, target: isZero ? 'zeros' : 'data' }, bufferBytes)
  }
}

async function* kindsOf(extents: AsyncIterable<Extent>): AsyncGenerator<Extent, void, undefined> {
  for await (const { offset, length, kind } of extents) yield { offset, length, kind }
}

function* cut(piece: CopyPiece, bufferBytes: number): Generator<CopyPiece, void, undefined> {
  const isRead = piece.kind === 'data' || piece.target === 'data'
  const unit = isRead ? bufferBytes : ZERO_PIECE_BYTES
  const end = piece.offset + piece.length
  for (let at = piece.offset; at < end;) {
    const stop = Math.min(at - (at % unit) + unit, end)
    yield { ...piece, offset: at, length: stop - at }
    at = stop
  }
}
