/** Raw bytes behind the port as a disk. @module */
import { checkRange } from '@granary/core'
import type { DiskReader } from '@granary/core'
import type { RandomFile } from './random-file.ts'

const BLOCK_BYTES = 512

/** The disk whose content is the file. It closes the file with itself. */
export const rawDisk = (file: RandomFile): DiskReader => ({
  get sizeBytes() {
    return file.sizeBytes
  },
  blockBytes: BLOCK_BYTES,
  async read(offset, target, { signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, target.length, file.sizeBytes)
    if (target.length > 0) await file.read(offset, target)
  },
  async *extents({ offset = 0, length = file.sizeBytes - offset, signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, length, file.sizeBytes)
    if (length > 0)
      yield { offset, length, kind: 'data', depth: 0, present: true, compressed: false, fileOffset: offset }
  },
  async [Symbol.asyncDispose]() {
    await file[Symbol.asyncDispose]?.()
  },
})
