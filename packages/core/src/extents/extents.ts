/**
 * Arithmetic on streams of extents: all lazy, in one pass, with constant memory. Streams in and out ascend;
 * none of these functions reads a disk.
 *
 * @module
 */
import type { Extent } from '../disk.ts'
import type { Range, Ranges } from './range.ts'

/** The part of an extent from `offset` on; `fileOffset` moves along. */
const sliceExtent = (extent: Extent, offset: number, length: number): Extent => {
  if (offset === extent.offset && length === extent.length) return extent
  const slice = { ...extent, offset, length }
  return extent.fileOffset === undefined
    ? slice
    : { ...slice, fileOffset: extent.fileOffset + (offset - extent.offset) }
}

/** Keeps what lies in `offset`..`offset + length`, and stops reading its source behind it. */
export async function* clipExtents(
  extents: Ranges<Extent>,
  { offset, length }: Range,
): AsyncGenerator<Extent, void, undefined> {
  const end = offset + length
  for await (const extent of extents) {
    if (extent.offset >= end) return
    const start = Math.max(extent.offset, offset)
    const stop = Math.min(extent.offset + extent.length, end)
    if (stop > start) yield sliceExtent(extent, start, stop - start)
  }
}

/** Joins neighbours that touch and say the same; a `fileOffset` must go on where the one before ends. */
export async function* mergeExtents(extents: Ranges<Extent>): AsyncGenerator<Extent, void, undefined> {
  let last: Extent | undefined
  for await (const extent of extents) {
    if (extent.length === 0) continue
    if (last !== undefined && continues(last, extent)) last = { ...last, length: last.length + extent.length }
    else {
      if (last !== undefined) yield last
      last = extent
    }
  }
  if (last !== undefined) yield last
}

const continues = (last: Extent, next: Extent): boolean =>
  last.offset + last.length === next.offset &&
  last.kind === next.kind &&
  last.dirty === next.dirty &&
  last.depth === next.depth &&
  last.present === next.present &&
  last.compressed === next.compressed &&
  (last.fileOffset === undefined ? undefined : last.fileOffset + last.length) === next.fileOffset

/** A range of the base, cut where the other stream has borders; `over` is undefined where the other stream has a gap. */
export interface OverlayPiece<Over extends Range> {
  readonly extent: Extent
  readonly over: Over | undefined
}

/**
 * Lays a second stream over extents: each piece comes with what covers it there. The result covers exactly what `base` covers.
 *
 * @example the state of a target beside each extent of a source: overlayExtents(source.extents(), target.extents())
 */
export async function* overlayExtents<Over extends Range>(
  base: Ranges<Extent>,
  over: Ranges<Over>,
): AsyncGenerator<OverlayPiece<Over>, void, undefined> {
  const iterator = Symbol.asyncIterator in over ? over[Symbol.asyncIterator]() : over[Symbol.iterator]()
  let isEnded = false
  let current: Over | undefined
  /** Moves to the first range that ends after `at`. */
  const advance = async (at: number): Promise<void> => {
    while (!isEnded && (current === undefined || current.offset + current.length <= at)) {
      const next = await iterator.next()
      isEnded = next.done === true
      current = next.done === true ? undefined : next.value
    }
  }
  try {
    for await (const extent of base) {
      const end = extent.offset + extent.length
      for (let at = extent.offset; at < end;) {
        await advance(at)
        const isCovered = current !== undefined && current.offset <= at
        const border = current === undefined ? end : isCovered ? current.offset + current.length : current.offset
        const stop = Math.min(border, end)
        yield { extent: sliceExtent(extent, at, stop - at), over: isCovered ? current : undefined }
        at = stop
      }
    }
  } finally {
    if (!isEnded) await iterator.return?.()
  }
}

/** Marks extents dirty inside the ranges given (such as the changed blocks of an incremental backup) and clean outside. */
export async function* markDirty(extents: Ranges<Extent>, dirty: Ranges): AsyncGenerator<Extent, void, undefined> {
  for await (const { extent, over } of overlayExtents(extents, dirty)) yield { ...extent, dirty: over !== undefined }
}

export interface DataRangesOptions {
  /** Leave out what is known to be unchanged (`dirty === false`). @default false */
  readonly skipClean?: boolean
}

/** The ranges that must be read: everything but zeros and holes, neighbours joined. */
export async function* dataRanges(
  extents: Ranges<Extent>,
  { skipClean = false }: DataRangesOptions = {},
): AsyncGenerator<Range, void, undefined> {
  let last: Range | undefined
  for await (const { offset, length, kind, dirty } of extents) {
    if (length === 0 || kind !== 'data' || (skipClean && dirty === false)) continue
    if (last !== undefined && last.offset + last.length === offset) {
      last = { offset: last.offset, length: last.length + length }
    } else {
      if (last !== undefined) yield last
      last = { offset, length }
    }
  }
  if (last !== undefined) yield last
}
