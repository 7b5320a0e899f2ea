/**
 * A stored disk, as a `DiskReader`: random reads through a bounded cache, with read-ahead where reads are sequential.
 *
 * @module
 */
import { checkRange } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, Extent, ExtentOptions } from '@granary/core'
import { keyOfId } from '../format/ids.ts'
import { WINDOW_BYTES, windowsOf } from '../map/map-nodes.ts'
import type { Piece } from '../map/map-nodes.ts'
import { MapReader, windowOffset } from '../map/map-reader.ts'
import type { MapRoot } from '../map/map-reader.ts'
import type { BlobReader, ChunkCopy } from './blob-reader.ts'
import { createChunkCache } from './chunk-cache.ts'
import { openDecodePool } from './decode-pool.ts'
import type { DecodePool } from './decode-pool.ts'
import type { ChunkCache } from './chunk-cache.ts'

export interface StoredDiskOptions {
  /** Plain chunks kept, bytes. @default 64 MiB */
  readonly cacheBytes?: number
  /** Bytes fetched ahead of sequential reads; 0 for none. @default 4 MiB */
  readonly readAheadBytes?: number
  /** Threads that decode large reads into shared memory; 0 for none beside the caller's. @default 0 */
  readonly threads?: number
}

/** What a stored disk stands on. */
export interface StoredDiskPlace {
  readonly blobs: BlobReader
  readonly chunkIdKey: Bytes
  /** Called once, at the end. */
  close(): Promise<void>
}

/** Reads from this size on are worth another thread. */
const LEAST_POOLED_BYTES = 512 * 1024

/** A chunk that a range touches. */
interface Part {
  readonly id: Bytes
  readonly name: string
  /** Disk offset of the chunk. */
  readonly offset: number
  readonly length: number
}

/** Decoded leaves kept: 2 GiB of disk, some 2 MiB of memory. */
const CACHED_WINDOWS = 64

export class StoredDisk implements DiskReader {
  readonly sizeBytes: number
  readonly blockBytes = 4096
  readonly map: MapReader
  readonly #blobs: BlobReader
  readonly #cache: ChunkCache
  readonly #readAheadBytes: number
  readonly #windows = new Map<number, Piece[]>()
  readonly #loading = new Map<string, Promise<Bytes>>()
  readonly #close: () => Promise<void>
  readonly #threads: number
  readonly #chunkIdKey: Bytes
  #pool: DecodePool | undefined
  #nextOffset = 0
  #aheadOffset = 0
  #ahead: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(map: MapRoot, place: StoredDiskPlace, options: StoredDiskOptions = {}) {
    const { blobs, chunkIdKey } = place
    this.#threads = options.threads ?? 0
    this.#chunkIdKey = chunkIdKey
    this.sizeBytes = map.sizeBytes
    this.map = new MapReader(map, (id, abort) => blobs.read(id, 'mapPack', abort))
    this.#blobs = blobs
    this.#close = async () => await place.close()
    this.#cache = createChunkCache(options.cacheBytes ?? 64 * 1024 * 1024)
    this.#readAheadBytes = options.readAheadBytes ?? 4 * 1024 * 1024
  }

  async read(offset: number, target: Bytes, options: AbortOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    checkRange(offset, target.length, this.sizeBytes)
    const isSequential = offset === this.#nextOffset && offset > 0
    this.#nextOffset = offset + target.length
    const parts = await this.#parts({ offset, length: target.length }, target, options)
    await this.#fill(parts, offset, target)
    options.signal?.throwIfAborted()
    if (isSequential) this.#readAhead(this.#nextOffset)
  }

  /** The chunks that a range touches; what is nothing is filled at once when there is a target. */
  async #parts(
    { offset, length }: { readonly offset: number; readonly length: number },
    target: Bytes | undefined,
    options: AbortOptions,
  ): Promise<Part[]> {
    const parts: Part[] = []
    const end = offset + length
    for (let window = Math.floor(offset / WINDOW_BYTES); window * WINDOW_BYTES < end; window++) {
      let at = windowOffset(window)
      for (const piece of await this.#pieces(window, options)) {
        const from = Math.max(at, offset)
        const to = Math.min(at + piece.length, end)
        if (from < to) {
          if (piece.id === undefined) target?.fill(0, from - offset, to - offset)
          else parts.push({ id: piece.id, name: keyOfId(piece.id), offset: at, length: piece.length })
        }
        at += piece.length
      }
    }
    return parts
  }

  async #fill(parts: readonly Part[], offset: number, target: Bytes): Promise<void> {
    const copy = (part: Part, plain: Bytes): void => {
      const from = Math.max(part.offset, offset)
      const to = Math.min(part.offset + part.length, offset + target.length)
      target.set(plain.subarray(from - part.offset, to - part.offset), from - offset)
    }
    const pool = this.#poolFor(target)
    if (pool !== undefined) {
      await this.#blobs.copyAll(copiesOf(parts, offset, target.length), target, pool)
      return
    }
    const missing: Part[] = []
    const waiting: Promise<void>[] = []
    for (const part of parts) {
      const cached = this.#cache.get(part.name)
      const loading = this.#loading.get(part.name)
      if (cached !== undefined) copy(part, cached)
      else if (loading !== undefined) waiting.push(loading.then(plain => copy(part, plain)))
      else missing.push(part)
    }
    const all = await Promise.allSettled([this.#load(missing, copy), ...waiting])
    for (const result of all) if (result.status === 'rejected') throw result.reason
  }

  /** Large reads into shared memory go past the cache: their chunks are decoded where they belong, on other threads. */
  #poolFor(target: Bytes): DecodePool | undefined {
    if (this.#threads === 0 || target.length < LEAST_POOLED_BYTES || !(target.buffer instanceof SharedArrayBuffer))
      return undefined
    return (this.#pool ??= openDecodePool(this.#chunkIdKey, this.#threads))
  }

  /** Fetches chunks that nobody fetches yet; whoever wants them meanwhile waits for this one, so no caller's signal ends it. */
  async #load(parts: readonly Part[], take: (part: Part, plain: Bytes) => void): Promise<void> {
    if (parts.length === 0) return
    const distinct = new Map<string, Part[]>()
    for (const part of parts) distinct.set(part.name, [...(distinct.get(part.name) ?? []), part])
    const settle = new Map<string, { resolve: (plain: Bytes) => void; reject: (reason: unknown) => void }>()
    for (const name of distinct.keys()) {
      const promise = new Promise<Bytes>((resolve, reject) => settle.set(name, { resolve, reject }))
      promise.catch(() => undefined)
      this.#loading.set(name, promise)
    }
    const groups = [...distinct.entries()]
    try {
      await this.#blobs.readAll(
        groups.map(([, [part]]) => (part as Part).id),
        'dataPack',
        (wanted, plain) => {
          const [name, users] = groups[wanted] as (typeof groups)[0]
          this.#cache.set(name, plain)
          for (const part of users) take(part, plain)
          settle.get(name)?.resolve(plain)
        },
      )
    } catch (error) {
      for (const { reject } of settle.values()) reject(error)
      throw error
    } finally {
      for (const name of distinct.keys()) this.#loading.delete(name)
    }
  }

  /** Fetches what comes next into the cache, one fetch at a time; a failure is reported by the read that needs it. */
  #readAhead(offset: number): void {
    const from = Math.max(offset, this.#aheadOffset)
    const to = Math.min(this.sizeBytes, offset + this.#readAheadBytes)
    if (to - from < this.#readAheadBytes / 2 || this.#isClosed) return
    this.#aheadOffset = to
    this.#ahead = this.#ahead
      .then(async () => {
        const parts = await this.#parts({ offset: from, length: to - from }, undefined, {})
        const isWanted = ({ name }: Part): boolean => this.#cache.get(name) === undefined && !this.#loading.has(name)
        await this.#load(parts.filter(isWanted), () => undefined)
      })
      .catch(() => undefined)
  }

  async #pieces(window: number, options: AbortOptions): Promise<Piece[]> {
    const known = this.#windows.get(window)
    if (known !== undefined) return known
    const pieces = await this.map.pieces(window, options)
    this.#windows.set(window, pieces)
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size <= CACHED_WINDOWS) break
      this.#windows.delete(oldest)
    }
    return pieces
  }

  async *extents({ offset = 0, length = this.sizeBytes - offset, signal }: ExtentOptions = {}): AsyncGenerator<
    Extent,
    void,
    undefined
  > {
    checkRange(offset, length, this.sizeBytes)
    const end = offset + length
    let run: { offset: number; length: number; kind: Extent['kind'] } | undefined
    for (
      let window = Math.floor(offset / WINDOW_BYTES);
      window < windowsOf(this.sizeBytes) && windowOffset(window) < end;
      window++
    ) {
      signal?.throwIfAborted()
      let at = windowOffset(window)
      for (const piece of await this.map.pieces(window, { signal })) {
        const from = Math.max(at, offset)
        const to = Math.min(at + piece.length, end)
        at += piece.length
        if (from >= to) continue
        const kind = piece.kind === 'chunk' ? 'data' : piece.kind
        if (run?.kind === kind) run.length += to - from
        else {
          if (run !== undefined) yield run
          run = { offset: from, length: to - from, kind }
        }
      }
    }
    if (run !== undefined) yield run
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#ahead
    await this.#pool?.[Symbol.asyncDispose]()
    await this.#close()
  }
}

/** Which bytes of each chunk go where in the target; a chunk that stands in several places is decoded once. */
const copiesOf = (parts: readonly Part[], offset: number, length: number): ChunkCopy[] => {
  const copies = new Map<string, { id: Bytes; places: { from: number; length: number; to: number }[] }>()
  for (const part of parts) {
    const from = Math.max(part.offset, offset)
    const to = Math.min(part.offset + part.length, offset + length)
    const place = { from: from - part.offset, length: to - from, to: from - offset }
    const known = copies.get(part.name)
    if (known === undefined) copies.set(part.name, { id: part.id, places: [place] })
    else known.places.push(place)
  }
  return [...copies.values()]
}
