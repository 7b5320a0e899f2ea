/**
 * A disk with a bounded cache of pages before it. Metadata is read in small pieces that lie near each other;
 * a store far away answers each request in milliseconds, so a page is fetched once and neighbours with it.
 *
 * @module
 */
import { checkRange } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, ExtentOptions } from '@granary/core'
import { corrupt } from '../errors.ts'

const PAGE_BYTES = 64 * 1024

/** Reads of at least this go past the cache. */
const DIRECT_BYTES = 256 * 1024

/** Pages fetched at once when a scan goes on where it stopped. */
const MAX_AHEAD_PAGES = 8

export interface CachedDiskOptions {
  /** @default 24 MiB */
  readonly capacityBytes?: number
}

/** Passes the contract of a disk; `bytes` is what parsers use. */
export class CachedDisk implements DiskReader {
  readonly sizeBytes: number
  readonly blockBytes: number
  readonly #disk: DiskReader
  readonly #maxPages: number
  /** In the order of last use, the oldest first. */
  readonly #pages = new Map<number, Promise<Bytes>>()
  #nextPage = -1
  #aheadPages = 1

  /** @param disk stays the caller's */
  constructor(disk: DiskReader, { capacityBytes = 24 * 1024 * 1024 }: CachedDiskOptions = {}) {
    this.#disk = disk
    this.sizeBytes = disk.sizeBytes
    this.blockBytes = disk.blockBytes
    this.#maxPages = Math.max(MAX_AHEAD_PAGES * 2, Math.floor(capacityBytes / PAGE_BYTES))
  }

  /**
   * The bytes of a range, not to be written to: a view on a page, or a copy where the range spans several.
   *
   * @throws GranaryError `GRANARY_CORRUPT` when the range isn't inside the disk: it comes from metadata
   */
  async bytes(offset: number, length: number, where: string, options: AbortOptions = {}): Promise<Bytes> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.sizeBytes))
      throw corrupt(where, `a place inside the volume of ${this.sizeBytes} bytes`, `${offset}+${length}`)
    const page = Math.floor(offset / PAGE_BYTES)
    const start = offset - page * PAGE_BYTES
    if (start + length <= PAGE_BYTES) {
      options.signal?.throwIfAborted()
      const cached = await this.#tryPage(page, options)
      if (cached !== undefined) return cached.subarray(start, start + length)
    }
    const copy = new Uint8Array(length)
    await this.read(offset, copy, options)
    return copy
  }

  async read(offset: number, target: Bytes, options: AbortOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    checkRange(offset, target.length, this.sizeBytes)
    if (target.length >= DIRECT_BYTES) return await this.#disk.read(offset, target, options)
    for (let done = 0; done < target.length;) {
      const at = offset + done
      const page = Math.floor(at / PAGE_BYTES)
      const start = at - page * PAGE_BYTES
      const length = Math.min(PAGE_BYTES - start, target.length - done)
      const part = target.subarray(done, done + length)
      const cached = await this.#tryPage(page, options)
      if (cached === undefined) await this.#disk.read(at, part, options)
      else part.set(cached.subarray(start, start + length))
      done += length
    }
  }

  extents(options?: ExtentOptions): ReturnType<DiskReader['extents']> {
    return this.#disk.extents(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pages.clear()
  }

  /** The page, or undefined when a part of it can't be read: then the caller asks for just what it needs. */
  async #tryPage(page: number, options: AbortOptions): Promise<Bytes | undefined> {
    const found = this.#pages.get(page)
    if (found !== undefined) {
      this.#pages.delete(page)
      this.#pages.set(page, found)
      try {
        return await found
      } catch {
        // Somebody else's fetch failed or was aborted: ask anew, for us alone.
        options.signal?.throwIfAborted()
        return undefined
      }
    }
    try {
      return await this.#fetch(page, options)
    } catch {
      options.signal?.throwIfAborted()
      return undefined
    }
  }

  async #fetch(page: number, options: AbortOptions): Promise<Bytes> {
    this.#aheadPages = page === this.#nextPage ? Math.min(this.#aheadPages * 2, MAX_AHEAD_PAGES) : 1
    let count = 1
    while (count < this.#aheadPages && !this.#pages.has(page + count) && (page + count) * PAGE_BYTES < this.sizeBytes)
      count++
    this.#nextPage = page + count
    const offset = page * PAGE_BYTES
    const span = new Uint8Array(Math.min(count * PAGE_BYTES, this.sizeBytes - offset))
    const reading = this.#disk.read(offset, span, options)
    const pages = Array.from({ length: count }, (_, index) => this.#keep(page + index, reading, span, index))
    return await (pages[0] as Promise<Bytes>)
  }

  #keep(page: number, reading: Promise<void>, span: Bytes, index: number): Promise<Bytes> {
    const loaded = reading.then(
      // A copy when several came at once, so that one page in use doesn't keep its neighbours in memory.
      () =>
        span.length <= PAGE_BYTES
          ? span
          : span.slice(index * PAGE_BYTES, Math.min((index + 1) * PAGE_BYTES, span.length)),
      (error: unknown) => {
        if (this.#pages.get(page) === loaded) this.#pages.delete(page)
        throw error
      },
    )
    loaded.catch(() => undefined) // Reported to whoever asks for it.
    this.#pages.set(page, loaded)
    if (this.#pages.size > this.#maxPages) {
      const [oldest] = this.#pages.keys()
      this.#pages.delete(oldest as number)
    }
    return loaded
  }
}
