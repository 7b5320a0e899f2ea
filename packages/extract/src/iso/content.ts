/** Content for an image. @module */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import type { IsoContent } from './entry.ts'

const PIECE_BYTES = 1024 * 1024

/** The content of a disk, as a file system gives it for a file: holes are not read. */
export const contentOfDisk = (disk: DiskReader): IsoContent => ({
  sizeBytes: disk.sizeBytes,
  read: options => readDisk(disk, options),
})

async function* readDisk(disk: DiskReader, { signal }: AbortOptions = {}): AsyncGenerator<Bytes, void, undefined> {
  if (disk.sizeBytes === 0) return
  for await (const { offset, length, kind } of disk.extents({ signal })) {
    for (let at = offset; at < offset + length; at += PIECE_BYTES) {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, offset + length - at))
      if (kind === 'data') await disk.read(at, piece, { signal })
      yield piece
    }
  }
}

export const contentOfBytes = (bytes: Bytes): IsoContent => ({
  sizeBytes: bytes.length,
  async *read() {
    yield bytes
  },
})
