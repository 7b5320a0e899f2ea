/**
 * The index of a repository: all its segments, as one thing to ask. A hit is a hint; `find` proves it by the pack's footer.
 *
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import type { Backend, ObjectInfo } from '../backends/backend.ts'
import { isDamage } from '../format/damage.ts'
import { keyOfId, packKey, sessionOfSegment } from '../format/ids.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import { createPackCache } from '../packs/pack-cache.ts'
import type { CachedPack, PackCache } from '../packs/pack-cache.ts'
import type { PackType } from '../packs/pack-format.ts'
import { createPageCache } from './page-cache.ts'
import type { PageCache } from './page-cache.ts'
import { SegmentReader } from './segment-reader.ts'

/** A blob that is there: its pack was seen, and its footer names the whole id. */
export interface FoundBlob {
  readonly pack: CachedPack
  readonly ordinal: number
}

export interface RepositoryIndexOptions {
  /** Packs that don't count: deleted ones, and for writers those under a tomb. */
  readonly isExcluded: (packKey: string) => boolean
  /** Merged segments count only when the session that wrote them has committed. */
  readonly isCommitted: (sid: string) => Promise<boolean>
  /**
   * Whether what a pack says it holds is to be believed. Of several places of a blob the trusted ones come first.
   *
   * @default all are
   */
  readonly isTrusted?: (pack: CachedPack) => boolean
  /** Whether the others are found at all. @default true */
  readonly findsUntrusted?: boolean
  /** Bytes of index pages kept in memory. @default 64 MiB */
  readonly cacheBytes?: number
  /**
   * What a damaged segment means. Collection must know of every damage; a writer skips it, since what it doesn't find it
   * stores again; a reader also looks for what it named in the packs themselves. @default 'fail'
   */
  readonly onDamage?: 'fail' | 'skip' | 'search'
}

/** Packs looked into before the index is asked: neighbours in a pack are neighbours on disk. */
const RECENT_PACKS = 4

/** How often segments that were listed may turn out to be gone, before that is an error: only a broken storage gets there. */
const MAX_LISTINGS = 100

interface Place {
  readonly backend: Backend
  readonly keys: RepositoryKeys
  readonly cache: PageCache
}

export class RepositoryIndex {
  readonly packs: PackCache
  readonly #place: Place
  readonly #options: RepositoryIndexOptions
  #segments: SegmentReader[] = []
  #recent: CachedPack[] = []

  private constructor(place: Place, packs: PackCache, options: RepositoryIndexOptions) {
    this.#place = place
    this.#options = options
    this.packs = packs
  }

  static async load(
    backend: Backend,
    keys: RepositoryKeys,
    options: RepositoryIndexOptions,
    abort: AbortOptions = {},
  ): Promise<RepositoryIndex> {
    const place = { backend, keys, cache: createPageCache(options.cacheBytes) }
    const index = new RepositoryIndex(place, createPackCache(backend, keys), options)
    await index.reload(abort)
    return index
  }

  /** The same segments and caches for a reader, who leaves out other packs, and may read what nobody vouches for. */
  forReading(isExcluded: (packKey: string) => boolean): RepositoryIndex {
    const index = new RepositoryIndex(this.#place, this.packs, { ...this.#options, isExcluded, findsUntrusted: true })
    index.#segments = this.#segments
    return index
  }

  /** Whether what a pack says it holds is believed. */
  isTrusted(pack: CachedPack): boolean {
    return this.#options.isTrusted?.(pack) ?? true
  }

  get #skipsDamage(): boolean {
    return this.#options.onDamage === 'skip' || this.#options.onDamage === 'search'
  }

  get segments(): readonly SegmentReader[] {
    return this.#segments
  }

  /**
   * Lists the segments again: after one was found missing, or to see what others published. While a listing goes on, a merge may
   * take segments away before it comes to them, having put the merged one where it had been already: only a listing that
   * brings nothing new proves that nothing was missed.
   */
  async reload({ signal }: AbortOptions = {}): Promise<void> {
    const known = new Map(this.#segments.map(segment => [segment.key, segment]))
    const found = new Map<string, SegmentReader>()
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      const gone = await this.#openNew(known, found, signal)
      if (gone === 'nothing new') break
      if (gone instanceof GranaryError && attempt >= MAX_LISTINGS) throw gone
    }
    this.#segments = [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** Opens what a listing shows beyond `found`. @returns the error of a segment that was listed and is gone, if there was one */
  async #openNew(
    known: ReadonlyMap<string, SegmentReader>,
    found: Map<string, SegmentReader>,
    signal: AbortSignal | undefined,
  ): Promise<'something new' | 'nothing new' | GranaryError> {
    let outcome: 'something new' | 'nothing new' | GranaryError = 'nothing new'
    for await (const info of this.#place.backend.list('index/', { signal })) {
      const sid = sessionOfSegment(info.key)
      if (sid === undefined || found.has(info.key)) continue
      try {
        const segment = known.get(info.key) ?? (await this.#open(info, signal))
        if (segment === undefined) continue
        if (segment.directory.replaces.length > 0 && !(await this.#options.isCommitted(sid))) continue
        found.set(info.key, segment)
        if (outcome === 'nothing new') outcome = 'something new'
      } catch (error) {
        if (!isMissing(error)) throw error
        outcome = error // A merge replaced it between the listing and the reading: list again.
      }
    }
    return outcome
  }

  /** Does what reads segments, again with a new list whenever one is found missing. */
  async #onSegments<Result>(work: () => Promise<Result>, options: AbortOptions): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (!isMissing(error) || attempt === MAX_LISTINGS) throw error
        await this.reload(options)
      }
    }
  }

  async #open(info: ObjectInfo, signal: AbortSignal | undefined): Promise<SegmentReader | undefined> {
    try {
      return await SegmentReader.open(this.#place, info, { signal })
    } catch (error) {
      if (this.#skipsDamage && isDamage(error)) return undefined
      throw error
    }
  }

  /** Where a blob is, or undefined. @param type chunk or map node: their ids are of different key domains and never meet */
  async find(id: Bytes, type: PackType, options: AbortOptions = {}): Promise<FoundBlob | undefined> {
    const name = keyOfId(id)
    for (const pack of this.#recent) {
      const ordinal = pack.type === type ? pack.ordinals.get(name) : undefined
      if (ordinal !== undefined) return { pack, ordinal }
    }
    for await (const found of this.findAll(id, type, options)) return found
    return this.#options.onDamage === 'search' ? await this.#search(id, type, options) : undefined
  }

  /** Asks the packs themselves, those first that no segment names. Slow, and the last resort. */
  async #search(id: Bytes, type: PackType, options: AbortOptions): Promise<FoundBlob | undefined> {
    await this.reload(options) // More often than not it was moved, and all is well.
    for await (const found of this.findAll(id, type, options)) return found
    const name = keyOfId(id)
    const named = await this.namedPacks(options)
    const keys: string[] = []
    for await (const { key } of this.#place.backend.list('packs/', options))
      if (!this.#options.isExcluded(key)) keys.push(key)
    for (const key of [...keys.filter(each => !named.has(each)), ...keys.filter(each => named.has(each))]) {
      options.signal?.throwIfAborted()
      const pack = await this.packs.get(key, options).catch((error: unknown) => {
        if (isDamage(error)) return undefined
        throw error
      })
      const ordinal = pack?.type === type ? pack.ordinals.get(name) : undefined
      if (pack === undefined || ordinal === undefined) continue
      this.#remember(pack)
      return { pack, ordinal }
    }
    return undefined
  }

  /** Only packs that are trusted: the others may not hold what they say, and then hide one that does. */
  #remember(pack: CachedPack): void {
    if (!this.isTrusted(pack)) return
    this.#recent = [pack, ...this.#recent.filter(other => other !== pack)].slice(0, RECENT_PACKS)
  }

  /**
   * Every place of a blob that counts, trusted ones first: collection must know them all.
   *
   * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_AUTHENTICATION` when it may only be in packs that are damaged
   */
  async *findAll(id: Bytes, type: PackType, options: AbortOptions = {}): AsyncGenerator<FoundBlob, void, undefined> {
    const name = keyOfId(id)
    let damage: unknown
    let isFound = false
    const untrusted: FoundBlob[] = []
    for (const { pack: row } of await this.#hits(id, options)) {
      const key = packKey(row)
      if (this.#options.isExcluded(key)) continue
      const pack = await this.packs.get(key, options).catch((error: unknown) => {
        if (!isDamage(error)) throw error
        damage = error // It may be elsewhere, too.
        return undefined
      })
      if (pack === undefined || pack.type !== type || Buffer.compare(pack.uid, row.uid) !== 0) continue
      const ordinal = pack.ordinals.get(name)
      if (ordinal === undefined) continue
      if (!this.isTrusted(pack)) {
        if (this.#options.findsUntrusted !== false) untrusted.push({ pack, ordinal })
        continue
      }
      this.#remember(pack)
      isFound = true
      yield { pack, ordinal }
    }
    yield* untrusted
    isFound ||= untrusted.length > 0
    if (damage !== undefined && !isFound) throw damage
  }

  /** Keys of the packs that a blob may be in by what segments say, whether they are there or not. */
  async packsNamedFor(id: Bytes, options: AbortOptions = {}): Promise<string[]> {
    const keys = (await this.#hits(id, options)).map(({ pack }) => packKey(pack))
    return keys.filter(key => !this.#options.isExcluded(key))
  }

  async #hits(id: Bytes, options: AbortOptions): Promise<Awaited<ReturnType<SegmentReader['lookup']>>> {
    return await this.#onSegments(async () => {
      const hits = []
      for (const segment of this.#segments) hits.push(...(await this.#lookup(segment, id, options)))
      return hits
    }, options)
  }

  async #lookup(segment: SegmentReader, id: Bytes, options: AbortOptions): ReturnType<SegmentReader['lookup']> {
    try {
      return await segment.lookup(id, options)
    } catch (error) {
      if (this.#skipsDamage && isDamage(error)) return []
      throw error
    }
  }

  /** A pack was found to be gone. */
  forgetPack(key: string): void {
    this.packs.forget(key)
    this.#recent = this.#recent.filter(pack => pack.key !== key)
  }

  /** The keys of all packs that segments name. */
  async namedPacks(options: AbortOptions = {}): Promise<Set<string>> {
    return await this.#onSegments(async () => {
      const names = new Set<string>()
      for (const segment of this.#segments) {
        try {
          for (let row = 0; row < segment.directory.packs; row++)
            names.add(packKey(await segment.packRow(row, options)))
        } catch (error) {
          if (!this.#skipsDamage || !isDamage(error)) throw error
        }
      }
      return names
    }, options)
  }
}

const isMissing = (error: unknown): error is GranaryError => isGranaryError(error) && error.code === 'GRANARY_NOT_FOUND'
