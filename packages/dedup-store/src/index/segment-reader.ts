/**
 * Looks things up in one index segment through a page cache: filter first, then an interpolation search.
 *
 * @see docs/formats/repository.md, "Index segments"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { suiteById } from '@granary/transform'
import type { Sealer } from '@granary/transform'
import type { Backend, ObjectInfo } from '../backends/backend.ts'
import { HEADER_BYTES, decodeHeader } from '../format/header.ts'
import { PREFIX_BYTES } from '../format/ids.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import { associatedWith, namingObject, openObjectSealer } from '../format/sealed-object.ts'
import { fuseProbe, fuseShape } from './fuse-filter.ts'
import type { PageCache } from './page-cache.ts'
import { PACK_ROW_BYTES, SEGMENT_ENTRY_BYTES, SEGMENT_TRAILER_BYTES, decodeSegmentTrailer } from './segment-format.ts'
import type { SegmentBlock, SegmentDirectory } from './segment-format.ts'
import type { PackRow, SegmentEntry } from './segment-writer.ts'

/** Where an id may be: a hint, to be proven by the pack's footer. */
export interface SegmentHit {
  readonly pack: PackRow
  readonly ordinal: number
}

export class SegmentReader {
  readonly key: string
  readonly directory: SegmentDirectory
  readonly #backend: Backend
  readonly #cache: PageCache
  readonly #sealer: Sealer
  readonly #associated: Bytes
  readonly #pageBytes: number
  readonly #plainBytes: number

  private constructor(
    place: { backend: Backend; cache: PageCache; key: string },
    seal: { sealer: Sealer; associated: Bytes; pageBytes: number; plainBytes: number },
    directory: SegmentDirectory,
  ) {
    this.key = place.key
    this.#backend = place.backend
    this.#cache = place.cache
    this.#sealer = seal.sealer
    this.#associated = seal.associated
    this.#pageBytes = seal.pageBytes
    this.#plainBytes = seal.plainBytes
    this.directory = directory
  }

  /**
   * Reads the directory of a segment.
   *
   * @throws GranaryError `GRANARY_NOT_FOUND` when it is gone (list again); `GRANARY_CORRUPT`, `GRANARY_AUTHENTICATION` when damaged
   */
  static async open(
    { backend, keys, cache }: { backend: Backend; keys: RepositoryKeys; cache: PageCache },
    { key, sizeBytes }: ObjectInfo,
    { signal }: AbortOptions = {},
  ): Promise<SegmentReader> {
    if (sizeBytes < HEADER_BYTES + SEGMENT_TRAILER_BYTES) throw damaged(key, `${sizeBytes} bytes are too few`)
    const header = await backend.get(key, { length: HEADER_BYTES, signal })
    const trailer = await backend.get(key, {
      offset: sizeBytes - SEGMENT_TRAILER_BYTES,
      length: SEGMENT_TRAILER_BYTES,
      signal,
    })
    const decoded = decodeHeader(header, key)
    if (decoded.type !== 'index') throw damaged(key, `expected an index segment, found ${decoded.type}`)
    const { pageBytes, pages } = decodeSegmentTrailer(trailer, key)
    if (sizeBytes !== HEADER_BYTES + pages * pageBytes + SEGMENT_TRAILER_BYTES)
      throw damaged(key, `${sizeBytes} bytes for ${pages} pages`)
    const sealer = openObjectSealer(decoded, keys.index, key)
    const plainBytes = pageBytes - suiteById(decoded.suite).tagBytes
    const seal = { sealer, associated: associatedWith(header, key), pageBytes, plainBytes }
    const early = new SegmentReader({ backend, cache, key }, seal, {
      pages,
      entries: 0,
      blocks: [],
      packs: 0,
      packPage: 0,
      replaces: [],
    })
    const directory = await early.#readDirectory(pages, signal)
    return new SegmentReader({ backend, cache, key }, seal, directory)
  }

  async #readDirectory(pages: number, signal: AbortSignal | undefined): Promise<SegmentDirectory> {
    const last = view(await this.#page(pages - 1, signal))
    const page = last.getUint32(0, true)
    const length = last.getUint32(4, true)
    if (last.getUint32(8, true) !== pages || page >= pages || length > (pages - page) * this.#plainBytes) {
      throw damaged(this.key, 'its directory is not where its last page says')
    }
    const text = Buffer.from(await this.#bytes(page, 0, length, signal)).toString('utf8')
    return { ...(JSON.parse(text) as Omit<SegmentDirectory, 'pages'>), pages }
  }

  /** The places where an id with these first 16 bytes may be. */
  async lookup(id: Bytes, options: AbortOptions = {}): Promise<SegmentHit[]> {
    const hits: SegmentHit[] = []
    const prefix = id.subarray(0, PREFIX_BYTES)
    const hex = Buffer.from(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).toString('hex')
    const { blocks } = this.directory
    let at = lastAtOrBefore(blocks, hex)
    for (; at >= 0; at--) {
      const block = blocks[at] as SegmentBlock
      if (await this.#mayHold(block, prefix, options.signal)) await this.#search(block, prefix, hits, options.signal)
      if (block.first !== hex) break // Only a block that begins with this prefix can continue one before it.
    }
    return hits
  }

  async #mayHold(block: SegmentBlock, prefix: Bytes, signal: AbortSignal | undefined): Promise<boolean> {
    const words = new DataView(prefix.buffer, prefix.byteOffset, 8)
    const shape = fuseShape(block.keys)
    const { places, fingerprint } = fuseProbe(words.getUint32(0, true), words.getUint32(4, true), block.seed, shape)
    let found = fingerprint
    for (const place of places) {
      const page = await this.#page(block.filterPage + Math.floor(place / this.#plainBytes), signal)
      found ^= page[place % this.#plainBytes] as number
    }
    return found === 0
  }

  /** Interpolation on the first 48 bits finds the page; ids are hashes, so the guess is nearly always right. */
  async #search(
    block: SegmentBlock,
    prefix: Bytes,
    hits: SegmentHit[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const perPage = Math.floor(this.#plainBytes / SEGMENT_ENTRY_BYTES)
    let low = 0
    let high = block.entries // The first entry >= prefix is in [low, high].
    const wanted = head(prefix, 0)
    let lowHead = Number.parseInt(block.first.slice(0, 12), 16)
    let highHead = 2 ** 48
    while (low < high) {
      const share = (wanted - lowHead) / (highHead - lowHead || 1)
      const guess = Math.min(high - 1, Math.max(low, low + Math.floor(share * (high - low))))
      const pageStart = Math.floor(guess / perPage) * perPage
      const page = await this.#page(block.page + pageStart / perPage, signal)
      const first = Math.max(low, pageStart)
      const end = Math.min(high, pageStart + perPage)
      const within = lowerBound(page, prefix, first - pageStart, end - pageStart) + pageStart
      if (within === first && first > low) {
        high = first
        highHead = head(page, (first - pageStart) * SEGMENT_ENTRY_BYTES)
      } else if (within === end && end < high) {
        low = end
        lowHead = head(page, (end - 1 - pageStart) * SEGMENT_ENTRY_BYTES)
      } else {
        low = within
        break
      }
    }
    await this.#collect(block, prefix, low, hits, signal)
  }

  async #collect(
    block: SegmentBlock,
    prefix: Bytes,
    from: number,
    hits: SegmentHit[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const perPage = Math.floor(this.#plainBytes / SEGMENT_ENTRY_BYTES)
    for (let i = from; i < block.entries; i++) {
      const page = await this.#page(block.page + Math.floor(i / perPage), signal)
      const at = (i % perPage) * SEGMENT_ENTRY_BYTES
      if (Buffer.compare(page.subarray(at, at + PREFIX_BYTES), prefix) !== 0) return
      const entry = view(page)
      const row = await this.packRow(entry.getUint32(at + PREFIX_BYTES, true), { signal })
      hits.push({ pack: row, ordinal: entry.getUint32(at + PREFIX_BYTES + 4, true) })
    }
  }

  /** A row of the pack table. */
  async packRow(row: number, { signal }: AbortOptions = {}): Promise<PackRow> {
    if (row >= this.directory.packs) throw damaged(this.key, `an entry names pack ${row} of ${this.directory.packs}`)
    const perPage = Math.floor(this.#plainBytes / PACK_ROW_BYTES)
    const page = await this.#page(this.directory.packPage + Math.floor(row / perPage), signal)
    const at = (row % perPage) * PACK_ROW_BYTES
    return {
      sid: Buffer.from(page.subarray(at, at + 16)).toString('hex'),
      number: view(page).getUint32(at + 16, true),
      uid: page.slice(at + 20, at + 36),
    }
  }

  /** All entries, ascending: for merges. */
  async *entries({ signal }: AbortOptions = {}): AsyncGenerator<SegmentEntry, void, undefined> {
    const perPage = Math.floor(this.#plainBytes / SEGMENT_ENTRY_BYTES)
    for (const block of this.directory.blocks) {
      for (let i = 0; i < block.entries; i++) {
        const page = await this.#page(block.page + Math.floor(i / perPage), signal)
        const at = (i % perPage) * SEGMENT_ENTRY_BYTES
        const entry = view(page)
        yield {
          prefix: page.slice(at, at + PREFIX_BYTES),
          pack: entry.getUint32(at + PREFIX_BYTES, true),
          ordinal: entry.getUint32(at + PREFIX_BYTES + 4, true),
        }
      }
    }
  }

  /** Opens every page once: for `check`. */
  async verify({ signal }: AbortOptions = {}): Promise<void> {
    for (let page = 0; page < this.directory.pages; page++) await this.#load(page, signal)
  }

  async #bytes(page: number, offset: number, length: number, signal: AbortSignal | undefined): Promise<Bytes> {
    const bytes = new Uint8Array(length)
    for (let done = 0; done < length;) {
      const at = offset + done
      const plain = await this.#page(page + Math.floor(at / this.#plainBytes), signal)
      const part = plain.subarray(at % this.#plainBytes, (at % this.#plainBytes) + length - done)
      bytes.set(part, done)
      done += part.length
    }
    return bytes
  }

  async #page(page: number, signal: AbortSignal | undefined): Promise<Bytes> {
    const cached = this.#cache.get(this.key, page)
    if (cached !== undefined) return cached
    const plain = await this.#load(page, signal)
    this.#cache.set(this.key, page, plain)
    return plain
  }

  async #load(page: number, signal: AbortSignal | undefined): Promise<Bytes> {
    if (page >= this.directory.pages) throw damaged(this.key, `page ${page} of ${this.directory.pages}`)
    const offset = HEADER_BYTES + page * this.#pageBytes
    const sealed = await this.#backend.get(this.key, { offset, length: this.#pageBytes, signal })
    return namingObject(this.key, () => this.#sealer.open(page, this.#associated, sealed))
  }
}

const view = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

const head = (bytes: Bytes, at: number): number =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUIntBE(at, 6)

/** The first of entries [from, to) that is not below the prefix. */
const lowerBound = (page: Bytes, prefix: Bytes, from: number, to: number): number => {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = middle * SEGMENT_ENTRY_BYTES
    if (Buffer.compare(page.subarray(at, at + PREFIX_BYTES), prefix) < 0) low = middle + 1
    else high = middle
  }
  return low
}

const lastAtOrBefore = (blocks: readonly SegmentBlock[], hex: string): number => {
  let low = 0
  let high = blocks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((blocks[middle] as SegmentBlock).first <= hex) low = middle + 1
    else high = middle
  }
  return low - 1
}

const damaged = (key: string, what: string): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `${key}: ${what}`, { detail: { object: key } })
