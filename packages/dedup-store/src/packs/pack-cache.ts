/** Footers of packs, the most recently used ones kept. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Backend } from '../backends/backend.ts'
import { keyOfId } from '../format/ids.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import { openPack } from './pack-reader.ts'
import type { OpenPack } from './open-pack.ts'

/** An open pack and where each id stands in it. */
export type CachedPack = OpenPack & { readonly ordinals: ReadonlyMap<string, number> }

export interface PackCache {
  /** The pack, or undefined where it doesn't exist: a stale index may name packs that are gone. */
  get(key: string, options?: AbortOptions): Promise<CachedPack | undefined>
  forget(key: string): void
}

/** Entries over all cached footers: about 150 bytes each in memory. */
const DEFAULT_MAX_ENTRIES = 200_000

export const createPackCache = (
  backend: Backend,
  keys: RepositoryKeys,
  maxEntries = DEFAULT_MAX_ENTRIES,
): PackCache => {
  const packs = new Map<string, CachedPack>()
  const loading = new Map<string, Promise<CachedPack | undefined>>()
  let entries = 0

  const keep = (pack: CachedPack): void => {
    packs.set(pack.key, pack)
    entries += pack.entries.length
    for (const [key, oldest] of packs) {
      if (entries <= maxEntries || key === pack.key) break
      packs.delete(key)
      entries -= oldest.entries.length
    }
  }
  const load = async (key: string, options: AbortOptions): Promise<CachedPack | undefined> => {
    try {
      const pack = await openPack(backend, keys, key, options)
      const ordinals = new Map(pack.entries.map((entry, ordinal) => [keyOfId(entry.id), ordinal]))
      const cached = Object.assign(pack, { ordinals })
      keep(cached)
      return cached
    } catch (error) {
      if (isGranaryError(error) && error.code === 'GRANARY_NOT_FOUND') return undefined
      throw error
    } finally {
      loading.delete(key)
    }
  }

  return {
    async get(key, options = {}) {
      const known = packs.get(key)
      if (known !== undefined) {
        packs.delete(key) // Back in as the youngest.
        packs.set(key, known)
        return known
      }
      const under = loading.get(key) ?? load(key, options)
      if (!loading.has(key) && !packs.has(key)) loading.set(key, under)
      return await under
    },
    forget(key) {
      const known = packs.get(key)
      if (known !== undefined && packs.delete(key)) entries -= known.entries.length
    },
  }
}
