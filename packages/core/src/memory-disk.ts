/** A disk in memory: the shortest reading of the disk contract, for tests and small uses. @module */
import type { Bytes } from './bytes.ts'
import { checkRange } from './check-range.ts'
import type { DiskReader, DiskWriter, Extent, ExtentOptions } from './disk.ts'

const BLOCK_BYTES = 4096

/** A disk whose content is `bytes`; writes change them. Its extents are found by looking at 4 KiB blocks. */
export const memoryDisk = (bytes: Bytes): DiskReader & DiskWriter => ({
  sizeBytes: bytes.length,
  blockBytes: BLOCK_BYTES,
  readsZero: false,
  async read(offset, target, { signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, target.length, bytes.length)
    target.set(bytes.subarray(offset, offset + target.length))
  },
  async *extents({ offset = 0, length = bytes.length - offset, signal }: ExtentOptions = {}) {
    checkRange(offset, length, bytes.length)
    let run: { offset: number; length: number; kind: Extent['kind'] } | undefined
    for (let at = offset; at < offset + length;) {
      signal?.throwIfAborted()
      const end = Math.min(at - (at % BLOCK_BYTES) + BLOCK_BYTES, offset + length)
      const kind = bytes.subarray(at, end).every(byte => byte === 0) ? 'zero' : 'data'
      if (run?.kind === kind) run.length += end - at
      else {
        if (run !== undefined) yield run
        run = { offset: at, length: end - at, kind }
      }
      at = end
    }
    if (run !== undefined) yield run
  },
  async write(offset, source, { signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, source.length, bytes.length)
    bytes.set(source, offset)
  },
  async zero(offset, length, { signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, length, bytes.length)
    bytes.fill(0, offset, offset + length)
  },
  async flush() {},
  async [Symbol.asyncDispose]() {},
})
