/** Which blobs of which packs are live: a bit a blob, so that memory is small whatever the repository's size. @module */
import type { CachedPack } from '../packs/pack-cache.ts'
import type { PackEntry } from '../packs/pack-format.ts'

/** What is live in one pack. */
export interface PackMark {
  readonly key: string
  readonly bits: Uint8Array
  /** Sealed bytes of live blobs. */
  liveBytes: number
  /** Sealed bytes of all blobs. */
  readonly blobBytes: number
}

export class LiveSet {
  readonly #packs = new Map<string, PackMark>()

  /** Marks a blob. @returns false when it was marked already */
  mark(pack: CachedPack, ordinal: number): boolean {
    let mark = this.#packs.get(pack.key)
    if (mark === undefined) {
      const blobBytes = pack.entries.reduce((sum, entry) => sum + entry.sealedLength, 0)
      mark = { key: pack.key, bits: new Uint8Array(Math.ceil(pack.entries.length / 8)), liveBytes: 0, blobBytes }
      this.#packs.set(pack.key, mark)
    }
    const bit = 1 << (ordinal % 8)
    const byte = mark.bits[ordinal >>> 3] as number
    if ((byte & bit) !== 0) return false
    mark.bits[ordinal >>> 3] = byte | bit
    mark.liveBytes += (pack.entries[ordinal] as PackEntry).sealedLength
    return true
  }

  /** Undefined for a pack without a live blob. */
  packOf(key: string): PackMark | undefined {
    return this.#packs.get(key)
  }

  isLive(key: string, ordinal: number): boolean {
    const mark = this.#packs.get(key)
    return mark !== undefined && ((mark.bits[ordinal >>> 3] as number) & (1 << (ordinal % 8))) !== 0
  }
}
