/** What differs between two disk maps: equal subtrees are passed over unread, so the cost is that of the change. @module */
import type { AbortOptions } from '@granary/core'
import { WINDOW_BYTES, windowsOf } from './map-nodes.ts'
import type { NodeReference, Piece } from './map-nodes.ts'
import { windowOffset } from './map-reader.ts'
import type { MapReader } from './map-reader.ts'

/** A range that may read otherwise in the second map. */
export interface ChangedRange {
  readonly offset: number
  readonly length: number
}

/**
 * The ranges in which two maps differ, ascending and merged. Beyond the end of the shorter disk everything differs.
 * A chunk counts as changed as a whole; zeros and holes read alike.
 */
export async function* diffMaps(
  before: MapReader,
  after: MapReader,
  options: AbortOptions = {},
): AsyncGenerator<ChangedRange, void, undefined> {
  let run: { offset: number; length: number } | undefined
  for await (const range of changes(before, after, options)) {
    if (run !== undefined && run.offset + run.length === range.offset) run.length += range.length
    else {
      if (run !== undefined) yield run
      run = { ...range }
    }
  }
  if (run !== undefined) yield run
}

async function* changes(
  before: MapReader,
  after: MapReader,
  options: AbortOptions,
): AsyncGenerator<ChangedRange, void, undefined> {
  const shorter = Math.min(before.map.sizeBytes, after.map.sizeBytes)
  const longer = Math.max(before.map.sizeBytes, after.map.sizeBytes)
  for (let window = 0; window < windowsOf(shorter); window++) {
    options.signal?.throwIfAborted()
    const [a, b] = [await before.leafReference(window, options), await after.leafReference(window, options)]
    if (isSame(a, b) && (window + 1) * WINDOW_BYTES <= shorter) continue
    const [from, to] = [await before.pieces(window, options), await after.pieces(window, options)]
    for (const { offset, length } of diffPieces(from, to)) {
      const at = windowOffset(window) + offset
      if (at < shorter) yield { offset: at, length: Math.min(length, shorter - at) }
    }
  }
  if (longer > shorter) yield { offset: shorter, length: longer - shorter }
}

const isSame = (a: NodeReference, b: NodeReference): boolean => {
  if (a.kind === 'node' || b.kind === 'node')
    return a.kind === 'node' && b.kind === 'node' && Buffer.compare(a.id, b.id) === 0
  return true // Zeros and holes read alike.
}

/** Walks two lists of pieces side by side; chunks are equal when they begin together and have one id. */
function* diffPieces(before: readonly Piece[], after: readonly Piece[]): Generator<ChangedRange> {
  const a = new PieceCursor(before)
  const b = new PieceCursor(after)
  let at = 0
  while (a.piece !== undefined && b.piece !== undefined) {
    const end = Math.min(a.end, b.end)
    const isEqual =
      (a.piece.id === undefined && b.piece.id === undefined) ||
      (a.piece.id !== undefined &&
        b.piece.id !== undefined &&
        a.start === b.start &&
        Buffer.compare(a.piece.id, b.piece.id) === 0)
    if (!isEqual) yield { offset: at, length: end - at }
    at = end
    a.moveTo(end)
    b.moveTo(end)
  }
}

class PieceCursor {
  readonly #pieces: readonly Piece[]
  #index = 0
  start = 0

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces
  }

  get piece(): Piece | undefined {
    return this.#pieces[this.#index]
  }

  get end(): number {
    return this.start + (this.piece?.length ?? 0)
  }

  moveTo(offset: number): void {
    if (offset < this.end) return
    this.start = this.end
    this.#index++
  }
}
