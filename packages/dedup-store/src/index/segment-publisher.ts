/** Gathers the blobs of stored packs and publishes them as index segments: every 16 packs, every 5 minutes, and at the end. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import type { PackName } from '../format/ids.ts'
import type { PackType } from '../packs/pack-format.ts'
import type { RepositoryContext } from '../sessions/context.ts'
import type { RepositoryIndex } from './repository-index.ts'
import { encodeSegment } from './segment-writer.ts'
import type { PackRow, SegmentEntry } from './segment-writer.ts'

/** A pack that is stored. */
export interface StoredPack extends PackName {
  readonly uid: Bytes
  readonly type: PackType
  /** In ordinal order. */
  readonly ids: readonly Bytes[]
}

const PACKS_PER_SEGMENT = 16
const PUBLISH_EVERY_MS = 5 * 60_000

export class SegmentPublisher {
  readonly #context: RepositoryContext
  readonly #sid: string
  readonly #index: RepositoryIndex
  #packs: StoredPack[] = []
  #segments = 0
  #lastMs: number

  constructor(context: RepositoryContext, sid: string, index: RepositoryIndex) {
    this.#context = context
    this.#sid = sid
    this.#index = index
    this.#lastMs = context.clock.now()
  }

  add(pack: StoredPack): void {
    this.#packs.push(pack)
  }

  nextKey(): string {
    return `index/${this.#sid}-${this.#segments++}`
  }

  isDue(): boolean {
    return this.#packs.length >= PACKS_PER_SEGMENT || this.#context.clock.now() - this.#lastMs >= PUBLISH_EVERY_MS
  }

  /**
   * Publishes a segment of all that was added; the index finds it from then on.
   *
   * @returns the published blobs
   */
  async publish(options: AbortOptions = {}): Promise<{ type: PackType; id: Bytes }[]> {
    const packs = this.#packs
    this.#packs = []
    this.#lastMs = this.#context.clock.now()
    if (packs.length === 0) return []
    const { backend, keys } = this.#context
    await backend.sync(options) // Packs before the segment that names them.
    const entries: SegmentEntry[] = packs.flatMap((pack, row) =>
      pack.ids.map((id, ordinal) => ({ prefix: id.subarray(0, 16), pack: row, ordinal })),
    )
    entries.sort((a, b) => Buffer.compare(a.prefix, b.prefix) || a.pack - b.pack || a.ordinal - b.ordinal)
    const key = this.nextKey()
    const rows: PackRow[] = packs.map(({ sid, number, uid }) => ({ sid, number, uid }))
    await backend.put(key, encodeSegment(keys, key, { packs: rows, entries, entriesAtMost: entries.length }), {
      owner: this.#sid,
      signal: options.signal,
    })
    await this.#index.reload(options)
    return packs.flatMap(pack => pack.ids.map(id => ({ type: pack.type, id })))
  }
}
