/** Extents that say what has changed. @module */
import type { Extent } from '@granary/core'
import type { DirtyRange } from './bitmaps.ts'

/** Cuts extents where the ranges change and marks the pieces. Both cover the same part of the disk. */
export async function* withDirty(
  extents: AsyncIterable<Extent>,
  ranges: AsyncIterable<DirtyRange>,
): AsyncGenerator<Extent, void, undefined> {
  const changes = ranges[Symbol.asyncIterator]()
  try {
    let range = await changes.next()
    for await (const extent of extents) {
      const end = extent.offset + extent.length
      for (let at = extent.offset; at < end;) {
        while (range.done !== true && range.value.offset + range.value.length <= at) range = await changes.next()
        const next = range.done === true ? end : Math.min(end, range.value.offset + range.value.length)
        const fileOffset = extent.fileOffset === undefined ? {} : { fileOffset: extent.fileOffset + at - extent.offset }
        const dirty = range.done === true ? {} : { dirty: range.value.dirty }
        yield { ...extent, offset: at, length: next - at, ...fileOffset, ...dirty }
        at = next
      }
    }
  } finally {
    await changes.return?.()
  }
}
