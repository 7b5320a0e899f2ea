/** A disk at the moment of its freeze, as a backup reads it. @module */
import { checkRange, markDirty } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, Extent, ExtentOptions } from '@granary/core'
import { dirtyRanges } from './dirty-bitmaps.ts'
import type { OracleRecord } from './oracle.ts'
import type { ReadWriteLock } from './read-write-lock.ts'

/** Extents come in batches of that many bytes of disk, so that a long listing does not hold the guest up. */
const LISTED_BYTES = 1024 ** 3

export interface FrozenDisk extends DiskReader {
  /** True when `extents()` say what is dirty. */
  readonly hasDirty: boolean
  /** What the disk holds, by a witness of its own. */
  readonly record: OracleRecord
  /** The scratch disk of a live freeze takes that much, bytes. */
  readonly scratchBytes: number
}

export interface FrozenSource {
  readonly sizeBytes: number
  readonly lock: ReadWriteLock
  readonly record: OracleRecord
  /** One byte a cluster, when changes since a checkpoint were asked for. */
  readonly dirty: Uint8Array | undefined
  readonly scratchBytes: () => number
  readonly read: (offset: number, target: Bytes) => Promise<void>
  readonly extents: (offset: number, length: number) => Iterable<Extent>
  readonly release: () => Promise<void>
}

export const frozenDisk = (source: FrozenSource): FrozenDisk => {
  const { sizeBytes, lock, dirty } = source
  let released: Promise<void> | undefined
  return {
    sizeBytes,
    blockBytes: 512,
    hasDirty: dirty !== undefined,
    record: source.record,
    get scratchBytes() {
      return source.scratchBytes()
    },
    async read(offset: number, target: Bytes, { signal }: AbortOptions = {}) {
      signal?.throwIfAborted()
      checkRange(offset, target.length, sizeBytes)
      await lock.shared(() => source.read(offset, target))
    },
    async *extents({ offset = 0, length = sizeBytes - offset, signal }: ExtentOptions = {}) {
      checkRange(offset, length, sizeBytes)
      const extents = listed(source, offset, offset + length, signal)
      yield* dirty === undefined ? extents : markDirty(extents, dirtyRanges(dirty, sizeBytes))
    },
    async [Symbol.asyncDispose]() {
      released ??= source.release()
      await released
    },
  }
}

async function* listed(
  { extents, lock }: FrozenSource,
  offset: number,
  end: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Extent, void, undefined> {
  for (let at = offset; at < end; at += LISTED_BYTES) {
    signal?.throwIfAborted()
    yield* await lock.shared(async () => [...extents(at, Math.min(LISTED_BYTES, end - at))])
  }
}
