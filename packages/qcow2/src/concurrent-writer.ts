/** A writer for many users at once, such as a guest that reads while it writes. @module */
import type { DiskReader, DiskWriter } from '@granary/core'
import { SharedRangeLock } from './shared-range-lock.ts'
import type { Qcow2Writer } from './writer.ts'

/**
 * The image, where reads and writes that touch one cluster wait for each other: a table points to a new cluster
 * before its bytes have arrived there. Closing it closes the image.
 */
export const concurrentWriter = (image: Qcow2Writer): DiskReader & DiskWriter => {
  const lock = new SharedRangeLock(image.info().clusterBytes)
  return {
    sizeBytes: image.sizeBytes,
    blockBytes: image.blockBytes,
    readsZero: image.readsZero,
    read: async (offset, target, options) =>
      await lock.run({ offset, length: target.length, isShared: true }, () => image.read(offset, target, options)),
    extents: options => image.extents(options),
    write: async (offset, bytes, options) =>
      await lock.run({ offset, length: bytes.length, isShared: false }, () => image.write(offset, bytes, options)),
    zero: async (offset, length, options) =>
      await lock.run({ offset, length, isShared: false }, () => image.zero(offset, length, options)),
    flush: options => image.flush(options),
    [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
  }
}
