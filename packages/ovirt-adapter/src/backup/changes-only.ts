/**
 * A disk of which only what changed is read from its source: the rest comes from the snapshot it changed since. A chunk that
 * changed in part is cut again with its neighbours, and those are in the repository already.
 *
 * @module
 */
import { isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, Extent, ExtentOptions } from '@granary/core'

interface Span {
  readonly offset: number
  readonly end: number
}

/**
 * @param source knows what changed since `before`: its extents say `dirty`
 * @param before the same disk as it was then, of the same size. Closed with the disk, as is the source
 */
export const changesOnly = (source: DiskReader, before: DiskReader): DiskReader => {
  const clean = new CleanSpans()
  return {
    sizeBytes: source.sizeBytes,
    blockBytes: source.blockBytes,
    async *extents(options: ExtentOptions = {}): AsyncGenerator<Extent, void, undefined> {
      for await (const extent of source.extents(options)) {
        clean.note(extent)
        yield extent
      }
    },
    async read(offset: number, target: Bytes, options: AbortOptions = {}): Promise<void> {
      for (const { from, to, isClean } of clean.cut(offset, target.length)) {
        const part = target.subarray(from - offset, to - offset)
        if (isClean && (await readBefore(before, from, part, options))) continue
        await source.read(from, part, options)
      }
    },
    async [Symbol.asyncDispose]() {
      try {
        await source[Symbol.asyncDispose]()
      } finally {
        await before[Symbol.asyncDispose]()
      }
    },
  }
}

/** A damaged place of the repository is read from the source: that heals it, too. */
const readBefore = async (
  before: DiskReader,
  offset: number,
  target: Bytes,
  options: AbortOptions,
): Promise<boolean> => {
  try {
    await before.read(offset, target, options)
    return true
  } catch (error) {
    if (isGranaryError(error) && (error.code === 'GRANARY_CORRUPT' || error.code === 'GRANARY_AUTHENTICATION'))
      return false
    throw error
  }
}

/** Ranges known not to have changed, ascending; what was never asked for counts as changed. */
class CleanSpans {
  readonly #spans: Span[] = []

  /** Extents ascend within one listing; a second listing says the same again. */
  note({ offset, length, dirty }: Extent): void {
    const last = this.#spans.at(-1)
    if (dirty !== false || (last !== undefined && offset + length <= last.end)) return
    if (last !== undefined && offset <= last.end)
      this.#spans[this.#spans.length - 1] = { offset: last.offset, end: offset + length }
    else this.#spans.push({ offset, end: offset + length })
  }

  *cut(offset: number, length: number): Generator<{ from: number; to: number; isClean: boolean }> {
    let at = offset
    const end = offset + length
    for (let i = this.#firstEndingAfter(offset); at < end; i++) {
      const span = this.#spans[i]
      if (span === undefined || span.offset >= end) return yield { from: at, to: end, isClean: false }
      if (span.offset > at) yield { from: at, to: span.offset, isClean: false }
      const to = Math.min(end, span.end)
      yield { from: Math.max(at, span.offset), to, isClean: true }
      at = to
    }
  }

  #firstEndingAfter(offset: number): number {
    let [low, high] = [0, this.#spans.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#spans[middle] as Span).end <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
