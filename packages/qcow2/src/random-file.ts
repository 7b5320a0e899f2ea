/** The port this package does all its file access through: an image may live in a file, in memory or in another disk. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

/** Bytes that can be read at random. Every `DiskReader` is one. */
export interface RandomFile {
  /** Size now, bytes. */
  readonly sizeBytes: number
  /** The same for the same file, whatever it was opened as: device and inode. */
  readonly identity?: string
  /** Fills the whole of `target`; callers ask only for ranges inside `sizeBytes`. */
  read(offset: number, target: Bytes): Promise<void>
  [Symbol.asyncDispose]?(): PromiseLike<void>
}

/** Bytes that can be changed at random. Writing past the end makes the file longer; the gap reads as zeros. */
export interface WritableFile extends RandomFile {
  /** Takes the bytes before it resolves. */
  write(offset: number, bytes: Bytes): Promise<void>
  /** Cuts the file, or makes it longer with zeros. */
  truncate(sizeBytes: number): Promise<void>
  /** Resolves when all that was written is durable. */
  flush(): Promise<void>
}

/** A growing file in memory, for tests and small uses. `bytes()` gives a copy of its content. */
export const memoryFile = (initial: Bytes = new Uint8Array()): WritableFile & { bytes(): Bytes } => {
  let store = initial.slice()
  let sizeBytes = initial.length
  const reserve = (size: number): void => {
    if (size <= store.length) return
    const larger = new Uint8Array(Math.max(size, store.length * 2))
    larger.set(store.subarray(0, sizeBytes))
    store = larger
  }
  return {
    get sizeBytes() {
      return sizeBytes
    },
    async read(offset, target) {
      if (offset + target.length > sizeBytes)
        throw new GranaryError('GRANARY_IO', `memory file ends at ${sizeBytes}, read to ${offset + target.length}`)
      target.set(store.subarray(offset, offset + target.length))
    },
    async write(offset, bytes) {
      reserve(offset + bytes.length)
      store.set(bytes, offset)
      sizeBytes = Math.max(sizeBytes, offset + bytes.length)
    },
    async truncate(size) {
      if (size < sizeBytes) store.fill(0, size, sizeBytes)
      reserve(size)
      sizeBytes = size
    },
    async flush() {},
    bytes: () => store.slice(0, sizeBytes),
  }
}
