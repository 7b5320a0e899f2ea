/** The keys of an open repository, by what they are for. @module */
import type { Bytes } from '@granary/core'
import type { Keyring } from '@granary/transform'
import type { ObjectType } from './header.ts'

/** Which keys seal what. Chunk id, map id, chunker and index keys survive rotation; the rest are per generation. */
export interface RepositoryKeys {
  /** Suite of new objects. */
  readonly suite: string
  /** Generation of new objects. */
  readonly generation: number
  readonly chunkId: Bytes
  readonly mapId: Bytes
  readonly chunker: Bytes
  readonly index: Bytes
  readonly signingSeed: Bytes
  /** Seals map packs. */
  mapKey(generation: number): Bytes
  /** Wraps the data keys of sessions. */
  wrapKey(generation: number): Bytes
  /** Seals the small objects of a type. */
  controlKeyOf(type: ObjectType, generation?: number): Bytes
}

/** @throws GranaryError `GRANARY_WRONG_KEY` when an object asks for a generation the keyring lacks */
export const repositoryKeys = (keyring: Keyring, suite: string): RepositoryKeys => {
  const current = keyring.repositoryKeys()
  return {
    suite,
    generation: keyring.current,
    chunkId: current.chunkId,
    mapId: current.mapId,
    chunker: current.chunker,
    index: current.index,
    signingSeed: current.signingSeed,
    mapKey: generation => keyring.repositoryKeys(generation).map,
    wrapKey: generation => keyring.repositoryKeys(generation).wrap,
    controlKeyOf(type, generation = keyring.current) {
      const keys = keyring.repositoryKeys(generation)
      return type === 'manifest' || type === 'fence' ? keys.manifest : keys.session
    },
  }
}
