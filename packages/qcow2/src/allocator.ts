/** Hands out host clusters of an image that is being written. @module */
import type { RefcountStore } from './refcounts.ts'
import type { WritableFile } from './random-file.ts'

/** The file grows in steps of an eighth within these bounds, so that most allocations cost no call. The rest is cut off in the end. */
const MIN_GROWTH_BYTES = 65_536
const MAX_GROWTH_BYTES = 8 * 1024 * 1024

export interface Allocation {
  readonly offset: number
  /** True when the file is known to hold zeros there. */
  readonly isFresh: boolean
}

/**
 * Clusters come from the end of the file, or from those freed before the last flush: what the tables
 * on disk still point to is never overwritten.
 */
export class Allocator {
  readonly #file: WritableFile
  readonly #clusterBytes: number
  refcounts!: RefcountStore
  /** End of what was given out, bytes. */
  #end: number
  readonly #free: number[] = []
  /** Freed, but the tables on disk may still point there. */
  #freed: number[] = []
  /** Where the next compressed cluster goes: a position inside the last host cluster used for them. */
  #packAt = 0
  #packEnd = 0

  /** @param endBytes end of all that is in use; whatever lies behind it in the file is not */
  constructor(file: WritableFile, clusterBytes: number, endBytes: number) {
    this.#file = file
    this.#clusterBytes = clusterBytes
    this.#end = Math.ceil(endBytes / clusterBytes) * clusterBytes
  }

  get endBytes(): number {
    return this.#end
  }

  /** New clusters at the end of the file, which hold zeros and are not counted yet. */
  async append(clusters: number): Promise<number> {
    const offset = this.#end
    this.#end += clusters * this.#clusterBytes
    const growth = Math.min(MAX_GROWTH_BYTES, Math.max(MIN_GROWTH_BYTES, Math.floor(this.#end / 8)))
    if (this.#end > this.#file.sizeBytes) await this.#file.truncate(this.#end + growth)
    return offset
  }

  /** Clusters side by side. */
  async allocate(clusters: number): Promise<Allocation> {
    const reused = clusters === 1 ? this.#free.pop() : undefined
    const offset = reused ?? (await this.append(clusters))
    await this.refcounts.add(offset / this.#clusterBytes, clusters, 1)
    return { offset, isFresh: reused === undefined }
  }

  /** Drops one reference to each of `clusters` clusters. */
  async release(offset: number, clusters = 1): Promise<void> {
    for (let index = 0; index < clusters; index++) {
      const at = offset + index * this.#clusterBytes
      if ((await this.refcounts.add(at / this.#clusterBytes, 1, -1)) > 0) continue
      this.#freed.push(at)
      if (at + this.#clusterBytes === this.#packEnd) this.#packEnd = 0
    }
  }

  /** Drops the references of a compressed cluster. */
  async releaseCompressed(host: number, storedBytes: number): Promise<void> {
    const first = host - (host % this.#clusterBytes)
    await this.release(first, Math.ceil((host + storedBytes - first) / this.#clusterBytes))
  }

  /** Room for a compressed cluster, behind the last one where that is possible. @returns its host offset, bytes */
  async pack(lengthBytes: number): Promise<number> {
    const overlap = this.#packAt < this.#packEnd ? this.#packEnd - this.#packAt : 0
    const isShareable =
      overlap > 0 && (await this.refcounts.get(this.#packEnd / this.#clusterBytes - 1)) < this.refcounts.max
    const missing = lengthBytes - overlap
    if (isShareable && missing <= 0) {
      await this.refcounts.add(this.#packEnd / this.#clusterBytes - 1, 1, 1)
      return this.#take(lengthBytes)
    }
    if (isShareable && this.#packEnd === this.#end) {
      await this.append(1)
      await this.refcounts.add(this.#packEnd / this.#clusterBytes - 1, 2, 1)
      this.#packEnd += this.#clusterBytes
      return this.#take(lengthBytes)
    }
    const { offset } = await this.allocate(1)
    this.#packAt = offset
    this.#packEnd = offset + this.#clusterBytes
    return this.#take(lengthBytes)
  }

  #take(lengthBytes: number): number {
    const at = this.#packAt
    this.#packAt += lengthBytes
    return at
  }

  /** To be called when the tables on disk no longer point to what was freed. */
  reuseFreed(): void {
    for (const offset of this.#freed) this.#free.push(offset)
    this.#freed = []
  }

  /** Cuts off what was not given out. */
  async trim(): Promise<void> {
    if (this.#file.sizeBytes > this.#end) await this.#file.truncate(this.#end)
  }
}
