/** How often each cluster of an image is referred to, counted by walking all its tables. @module */
import { overLimit } from './format.ts'

/** What a cluster is used as. Only L2 tables and data may be shared, each among their own kind. */
export const USE = { header: 1, l1: 2, l2: 3, data: 4, refcounts: 5, snapshots: 6, bitmaps: 7, encryption: 8 } as const
export type Use = (typeof USE)[keyof typeof USE]

const PAGE = 65_536

/** Most pages, each of 65536 clusters: 512 MiB of counts. */
const MAX_PAGES = 1600

interface Page {
  readonly counts: Uint32Array
  readonly uses: Uint8Array
}

/** Counts for as many clusters as a file may have, in pages that are made when needed. */
export class ReferenceCounts {
  readonly #pages = new Map<number, Page>()

  /** Counts `times` more references. @returns false when the cluster is used as something else that cannot share it */
  add(cluster: number, use: Use, times = 1): boolean {
    const index = Math.floor(cluster / PAGE)
    const page = this.#pages.get(index) ?? this.#make(index)
    const at = cluster % PAGE
    const before = page.uses[at] as number
    page.counts[at] = Math.min(0xffffffff, (page.counts[at] as number) + times)
    if (before === 0) page.uses[at] = use
    return before === 0 || (before === use && (use === USE.data || use === USE.l2))
  }

  #make(index: number): Page {
    if (this.#pages.size >= MAX_PAGES) throw overLimit('the image has too many clusters to be checked in memory')
    const page = { counts: new Uint32Array(PAGE), uses: new Uint8Array(PAGE) }
    this.#pages.set(index, page)
    return page
  }

  get(cluster: number): number {
    return this.#pages.get(Math.floor(cluster / PAGE))?.counts[cluster % PAGE] ?? 0
  }

  use(cluster: number): number {
    return this.#pages.get(Math.floor(cluster / PAGE))?.uses[cluster % PAGE] ?? 0
  }

  /** All clusters with references, in order. */
  *entries(): Generator<readonly [cluster: number, count: number], void, undefined> {
    for (const index of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const { counts } = this.#pages.get(index) as Page
      for (let at = 0; at < PAGE; at++) if (counts[at] !== 0) yield [index * PAGE + at, counts[at] as number]
    }
  }
}
