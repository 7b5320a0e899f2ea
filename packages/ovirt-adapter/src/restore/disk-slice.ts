/** A range of a disk, as a disk. Closing it leaves the disk open. @module */
import type { DiskReader, DiskWriter, Extent, ExtentOptions } from '@granary/core'

export interface Slice {
  readonly offset: number
  readonly length: number
}

export const sliceReader = (disk: DiskReader, { offset: start, length: sizeBytes }: Slice): DiskReader => ({
  sizeBytes,
  blockBytes: disk.blockBytes,
  read: async (offset, target, options) => await disk.read(start + offset, target, options),
  async *extents({ offset = 0, length = sizeBytes - offset, signal }: ExtentOptions = {}): AsyncGenerator<Extent> {
    for await (const { fileOffset: _, ...extent } of disk.extents({ offset: start + offset, length, signal }))
      yield { ...extent, offset: extent.offset - start }
  },
  [Symbol.asyncDispose]: async () => undefined,
})

export const sliceWriter = (disk: DiskWriter, { offset: start, length: sizeBytes }: Slice): DiskWriter => ({
  sizeBytes,
  readsZero: disk.readsZero,
  write: async (offset, bytes, options) => await disk.write(start + offset, bytes, options),
  zero: async (offset, length, options) => await disk.zero(start + offset, length, options),
  flush: async options => await disk.flush(options),
  [Symbol.asyncDispose]: async () => undefined,
})
