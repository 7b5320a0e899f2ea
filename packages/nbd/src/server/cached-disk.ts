/**
 * A read cache for served disks whose reads are dear (compressed, deduplicated, remote). It keeps what is read again and again,
 * such as the files of a booting guest, while a linear read passes by.
 *
 * Blocks come into a short queue; only a second use, by somebody else than a linear reader, moves them to the lasting part
 * (segmented LRU). Long reads go past the cache into the caller's bytes.
 *
 * @see Karedla, Love, Wherry, "Caching strategies to improve disk system performance", Computer 27(3), 1994
 * @module
 */
import { checkRange } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, Extent, ExtentOptions } from '@granary/core'
import { ReadStreams } from './read-streams.ts'

const KiB = 1024
const BLOCK_BYTES = 256 * KiB
/** Share of the cache that is always kept for blocks that were used once. */
const QUEUE_SHARE = 0.25

export interface CachedDiskOptions {
  /** Memory for blocks, bytes. @default 64 MiB */
  readonly cacheBytes?: number
  /** Most that is read ahead of a linear reader, bytes. 0 reads nothing ahead. @default 4 MiB */
  readonly readAheadBytes?: number
}

/** The disk, with a cache in front of its reads. It must not change meanwhile. Closing it closes the disk. */
export const cachedDisk = (
  disk: DiskReader,
  { cacheBytes = 64 * KiB * KiB, readAheadBytes = 4 * KiB * KiB }: CachedDiskOptions = {},
): DiskReader => new CachedDisk(disk, Math.max(8, Math.floor(cacheBytes / BLOCK_BYTES)), readAheadBytes)

class CachedDisk implements DiskReader {
  readonly sizeBytes: number
  readonly blockBytes: number
  readonly #disk: DiskReader
  readonly #maxBlocks: number
  /** Used once, oldest first. */
  readonly #queue = new Map<number, Bytes>()
  /** Used again, least recently used first. */
  readonly #lasting = new Map<number, Bytes>()
  readonly #loading = new Map<number, Promise<Bytes>>()
  readonly #streams: ReadStreams

  constructor(disk: DiskReader, maxBlocks: number, readAheadBytes: number) {
    this.#disk = disk
    this.sizeBytes = disk.sizeBytes
    this.blockBytes = disk.blockBytes
    this.#maxBlocks = maxBlocks
    // What is read ahead must still be there when its reader comes.
    const most = Math.floor((maxBlocks * QUEUE_SHARE * BLOCK_BYTES) / 2)
    this.#streams = new ReadStreams(Math.min(readAheadBytes, most), BLOCK_BYTES)
  }

  async read(offset: number, target: Bytes, { signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    checkRange(offset, target.length, this.sizeBytes)
    const stream = this.#streams.follow(offset, target.length)
    const work: Promise<void>[] = []
    const end = offset + target.length
    for (let at = offset; at < end;) {
      const longEnd = this.#endOfLongRun(at, end)
      const stop = longEnd > at ? longEnd : Math.min(end, at - (at % BLOCK_BYTES) + BLOCK_BYTES)
      const part = target.subarray(at - offset, stop - offset)
      work.push(longEnd > at ? this.#disk.read(at, part, { signal }) : this.#readPart(at, part, stream.isLinear))
      at = stop
    }
    for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason as Error
    signal?.throwIfAborted()
    this.#readAhead(stream.ahead)
  }

  extents(options?: ExtentOptions): AsyncIterable<Extent> {
    return this.#disk.extents(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#loading.values())
    this.#queue.clear()
    this.#lasting.clear()
    await this.#disk[Symbol.asyncDispose]()
  }

  /** Where a run of whole blocks that nobody has ends; `at` when it is no longer than one block. */
  #endOfLongRun(at: number, end: number): number {
    if (at % BLOCK_BYTES !== 0) return at
    let stop = at
    while (stop + BLOCK_BYTES <= end && !this.#has(stop / BLOCK_BYTES)) stop += BLOCK_BYTES
    return stop - at > BLOCK_BYTES ? stop : at
  }

  #has(index: number): boolean {
    return this.#queue.has(index) || this.#lasting.has(index) || this.#loading.has(index)
  }

  /** Reads a part of one block. */
  async #readPart(offset: number, target: Bytes, isLinear: boolean): Promise<void> {
    const index = Math.floor(offset / BLOCK_BYTES)
    const start = offset - index * BLOCK_BYTES
    const block = this.#find(index, isLinear) ?? (await this.#load(index))
    target.set(block.subarray(start, start + target.length))
  }

  #find(index: number, isLinear: boolean): Bytes | undefined {
    const lasting = this.#lasting.get(index)
    if (lasting !== undefined) {
      this.#lasting.delete(index)
      this.#lasting.set(index, lasting)
      return lasting
    }
    const queued = this.#queue.get(index)
    if (queued === undefined || isLinear) return queued
    this.#queue.delete(index)
    this.#lasting.set(index, queued)
    this.#evict()
    return queued
  }

  /** Loads a block; all who want it meanwhile share one read, which no single one of them may abort. */
  async #load(index: number): Promise<Bytes> {
    const known = this.#loading.get(index)
    if (known !== undefined) return await known
    const block = new Uint8Array(Math.min(BLOCK_BYTES, this.sizeBytes - index * BLOCK_BYTES))
    const loading = this.#disk
      .read(index * BLOCK_BYTES, block)
      .then(() => {
        this.#queue.set(index, block)
        this.#evict()
        return block
      })
      .finally(() => this.#loading.delete(index))
    this.#loading.set(index, loading)
    return await loading
  }

  #readAhead({ offset, length }: { readonly offset: number; readonly length: number }): void {
    const end = Math.min(this.sizeBytes, offset + length)
    for (let index = Math.floor(offset / BLOCK_BYTES); index * BLOCK_BYTES < end; index++)
      // A failure is told to whoever reads the block in earnest.
      if (!this.#has(index)) this.#load(index).catch(() => undefined)
  }

  #evict(): void {
    const maxLasting = Math.floor(this.#maxBlocks * (1 - QUEUE_SHARE))
    while (this.#lasting.size > maxLasting) {
      const [index, block] = this.#lasting.entries().next().value as [number, Bytes]
      this.#lasting.delete(index)
      this.#queue.set(index, block)
    }
    // Room that the lasting part leaves free is the queue's.
    while (this.#queue.size > this.#maxBlocks - this.#lasting.size)
      this.#queue.delete(this.#queue.keys().next().value as number)
  }
}
