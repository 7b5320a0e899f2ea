/**
 * The host's page cache between imageio and a volume: what was written and not flushed is lost when the host crashes.
 * Reads see it at once. CONTRACT §6.3
 *
 * @module
 */
import { checkRange, overlayExtents } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, DiskWriter, Extent, ExtentOptions, ZeroOptions } from '@granary/core'

const PAGE_BYTES = 65_536
/** When that much waits, the oldest is written on: a kernel does not keep dirty pages for ever, either. */
const DEFAULT_CAPACITY_BYTES = 32 * 1024 * 1024

export interface WriteBackDisk extends DiskReader, DiskWriter {
  /** Bytes that a crash would lose. */
  readonly unflushedBytes: number
  /** The host crashes: all that was not flushed is gone, and nothing works here any more. */
  crash(): void
}

/** Puts a cache before a disk, which it closes. */
export const writeBackDisk = (
  disk: DiskReader & DiskWriter,
  { capacityBytes = DEFAULT_CAPACITY_BYTES }: { capacityBytes?: number } = {},
): WriteBackDisk => new Cache(disk, capacityBytes)

class Cache implements WriteBackDisk {
  readonly readsZero = false
  readonly sizeBytes: number
  readonly blockBytes: number
  readonly #disk: DiskReader & DiskWriter
  readonly #capacityPages: number
  /** Whole pages by their number, the oldest first. */
  readonly #pages = new Map<number, Uint8Array>()
  #isCrashed = false
  #turn: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(disk: DiskReader & DiskWriter, capacityBytes: number) {
    this.#disk = disk
    this.sizeBytes = disk.sizeBytes
    this.blockBytes = disk.blockBytes
    this.#capacityPages = Math.max(1, Math.floor(capacityBytes / PAGE_BYTES))
  }

  get unflushedBytes(): number {
    return this.#pages.size * PAGE_BYTES
  }

  async read(offset: number, target: Bytes, { signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    checkRange(offset, target.length, this.sizeBytes)
    await this.#alone(async () => {
      await this.#disk.read(offset, target)
      const end = offset + target.length
      for (let page = Math.floor(offset / PAGE_BYTES); this.#pages.size > 0 && page * PAGE_BYTES < end; page++) {
        const bytes = this.#pages.get(page)
        if (bytes === undefined) continue
        const from = Math.max(offset, page * PAGE_BYTES)
        const to = Math.min(end, page * PAGE_BYTES + bytes.length)
        target.set(bytes.subarray(from - page * PAGE_BYTES, to - page * PAGE_BYTES), from - offset)
      }
    })
  }

  async *extents({ offset = 0, length = this.sizeBytes - offset, signal }: ExtentOptions = {}): AsyncGenerator<Extent> {
    checkRange(offset, length, this.sizeBytes)
    const cached = [...this.#pages.keys()]
      .toSorted((left, right) => left - right)
      .map(page => ({ offset: page * PAGE_BYTES, length: PAGE_BYTES }))
    const extents = this.#disk.extents({ offset, length, signal } as ExtentOptions)
    for await (const { extent, over } of overlayExtents(extents, cached))
      yield over === undefined ? extent : { ...extent, kind: 'data' }
  }

  async write(offset: number, bytes: Bytes, { signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    checkRange(offset, bytes.length, this.sizeBytes)
    await this.#alone(async () => {
      for (let at = offset; at < offset + bytes.length;) {
        const number = Math.floor(at / PAGE_BYTES)
        const start = number * PAGE_BYTES
        const end = Math.min(start + PAGE_BYTES, offset + bytes.length)
        const page = await this.#page(number, at === start && end === Math.min(start + PAGE_BYTES, this.sizeBytes))
        page.set(bytes.subarray(at - offset, end - offset), at - start)
        at = end
      }
      while (this.#pages.size > this.#capacityPages) await this.#writeOldest()
    })
  }

  async zero(offset: number, length: number, options: ZeroOptions = {}): Promise<void> {
    checkRange(offset, length, this.sizeBytes)
    await this.#alone(async () => {
      await this.#writeAll()
      await this.#disk.zero(offset, length, options)
    })
  }

  async flush(): Promise<void> {
    await this.#alone(async () => {
      await this.#writeAll()
      await this.#disk.flush()
    })
  }

  crash(): void {
    this.#isCrashed = true
    this.#pages.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  /** When a ticket goes, the kernel still writes what it has. */
  async #close(): Promise<void> {
    try {
      if (!this.#isCrashed) await this.flush()
    } finally {
      await this.#disk[Symbol.asyncDispose]()
    }
  }

  async #page(number: number, isWhole: boolean): Promise<Uint8Array> {
    const known = this.#pages.get(number)
    if (known !== undefined) return known
    const offset = number * PAGE_BYTES
    const page = new Uint8Array(Math.min(PAGE_BYTES, this.sizeBytes - offset))
    if (!isWhole) await this.#disk.read(offset, page)
    this.#pages.set(number, page)
    return page
  }

  async #writeAll(): Promise<void> {
    while (this.#pages.size > 0) await this.#writeOldest()
  }

  /** The oldest page, and those that lie behind it, in one write. */
  async #writeOldest(): Promise<void> {
    const [first] = this.#pages.keys()
    if (first === undefined) return
    const run: Uint8Array[] = []
    for (let page = this.#pages.get(first); page !== undefined; page = this.#pages.get(first + run.length)) {
      run.push(page)
      if (run.length === 64) break
    }
    await this.#disk.write(first * PAGE_BYTES, Buffer.concat(run))
    for (let i = 0; i < run.length; i++) this.#pages.delete(first + i)
  }

  /** One call after the other. @throws Error when the host has crashed */
  async #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(async () => {
      if (this.#isCrashed) throw new Error('the host has crashed')
      return await work()
    })
    this.#turn = turn.catch(() => undefined)
    return await turn
  }
}
