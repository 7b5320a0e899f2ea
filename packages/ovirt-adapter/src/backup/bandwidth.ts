/** A bound on the bytes read in a second, all disks together. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import type { Clock } from '@granary/dedup-store'

/** Resolves when so many bytes may be read. */
export type ReadLimit = (bytes: number, options: AbortOptions) => Promise<void>

/** Each request waits until those before it are paid for, so no second is far above the rate. */
export const limitRate = (bytesPerSecond: number, clock: Clock): ReadLimit => {
  let paidUntilMs = 0
  return async (bytes, { signal }) => {
    const now = clock.now()
    const startMs = Math.max(now, paidUntilMs)
    paidUntilMs = startMs + (bytes / bytesPerSecond) * 1000
    if (startMs > now) await clock.sleep(startMs - now, signal)
  }
}

export const limitReads = (disk: DiskReader, limit: ReadLimit): DiskReader => ({
  sizeBytes: disk.sizeBytes,
  blockBytes: disk.blockBytes,
  extents: options => disk.extents(options),
  async read(offset, target, options = {}) {
    await limit(target.length, options)
    await disk.read(offset, target, options)
  },
  [Symbol.asyncDispose]: async () => await disk[Symbol.asyncDispose](),
})
