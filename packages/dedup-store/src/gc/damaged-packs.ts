/**
 * Emptying packs that were found damaged: once all that is live in one can be read from anywhere, copies of it go elsewhere and
 * the pack goes. While something can't, the pack stays: it may still be mended from a copy of the repository.
 *
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { isDamage } from '../format/damage.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import type { FoundBlob, RepositoryIndex } from '../index/repository-index.ts'
import type { PackEntry, PackType } from '../packs/pack-format.ts'
import { createBlobVerifier, openBlob } from '../packs/pack-reader.ts'
import type { Backend } from '../backends/backend.ts'
import type { LiveSet } from './live-set.ts'

export interface BlobPlaces {
  readonly backend: Backend
  readonly keys: RepositoryKeys
  readonly index: RepositoryIndex
}

/**
 * The plain bytes of a blob from the first of the accepted places where it opens, or undefined.
 *
 * @throws GranaryError what the storage throws
 */
export const readFromAny = async (
  { backend, keys, index }: BlobPlaces,
  id: Bytes,
  type: PackType,
  { accepts = () => true, signal }: AbortOptions & { readonly accepts?: (pack: FoundBlob['pack']) => boolean } = {},
): Promise<Bytes | undefined> => {
  const verifier = createBlobVerifier(keys)
  for await (const { pack, ordinal } of index.findAll(id, type, { signal })) {
    if (!accepts(pack)) continue
    const entry = pack.entries[ordinal] as PackEntry
    try {
      const sealed = await backend.get(pack.key, { offset: entry.offset, length: entry.sealedLength, signal })
      return openBlob(pack, { ordinal, entry }, sealed, verifier)
    } catch (error) {
      if (!isDamage(error)) throw error
    }
  }
  return undefined
}

/** Whether all that is live in a pack can be read, there or elsewhere. */
export const canBeEmptied = async (
  places: BlobPlaces,
  key: string,
  live: LiveSet,
  options: AbortOptions,
): Promise<boolean> => {
  const pack = await places.index.packs.get(key, options)
  if (pack === undefined) return false
  for (const [ordinal, { id }] of pack.entries.entries()) {
    if (live.isLive(key, ordinal) && (await readFromAny(places, id, pack.type, options)) === undefined) return false
  }
  return true
}
