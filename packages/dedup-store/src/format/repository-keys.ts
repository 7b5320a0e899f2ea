/** The keys of an open repository, by what they are for. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { createSigner, derivePackListKey, openDataKey, unwrapDataKey, wrapDataKey } from '@granary/transform'
import type { Keyring, SeedSigner, Signer } from '@granary/transform'
import type { ObjectType } from './header.ts'
import { hexOfId } from './ids.ts'

/** How a pack's envelope holds the session's data key: its first byte. */
export const envelopeKinds = {
  /** Under the wrap key of the generation, which only key holders have. */
  wrapped: 1,
  /** Sealed to the public key of the generation, by a write-only client. */
  sealed: 2,
} as const

/** Which keys seal what. Chunk id, map id, chunker and index keys survive rotation; the rest are per generation. */
export interface RepositoryKeys {
  /** A holder has the keyring. A client writes, and can read no chunk. */
  readonly access: 'holder' | 'client'
  /** Suite of new objects. */
  readonly suite: string
  /** Generation of new objects. */
  readonly generation: number
  readonly chunkId: Bytes
  readonly mapId: Bytes
  readonly chunker: Bytes
  readonly index: Bytes
  /** Seals the lists of what packs hold. */
  readonly packList: Bytes
  /** Signs manifests and forget marks. */
  readonly signer: Signer
  /** Seed of `ownSigner`. */
  readonly signingSeed: Bytes
  /** Signs packs, and what only key holders decide. */
  readonly ownSigner: SeedSigner
  /** Public keys of the key holder, of all generations, hexadecimal. */
  readonly holders: ReadonlySet<string>
  /** Seals map packs. */
  mapKey(generation: number): Bytes
  /** The envelope of a session's data key. */
  sealDataKey(dataKey: Bytes, domain: Bytes): Bytes
  /** The data key in an envelope. @throws GranaryError `GRANARY_WRONG_KEY` for write-only clients, always */
  openDataKey(generation: number, envelope: Bytes, domain: Bytes): Bytes
  /** Seals the small objects of a type. */
  controlKeyOf(type: ObjectType, generation?: number): Bytes
}

/**
 * The keys of a key holder.
 *
 * @param signer of manifests and forget marks. @default one derived from the root key
 * @throws GranaryError `GRANARY_WRONG_KEY` when an object asks for a generation the keyring lacks
 */
export const repositoryKeys = (keyring: Keyring, suite: string, signer?: Signer): RepositoryKeys => {
  const current = keyring.repositoryKeys()
  const ownSigner = createSigner(current.signingSeed)
  const holders = [...keyring.generations.keys()].map(generation =>
    hexOfId(createSigner(keyring.repositoryKeys(generation).signingSeed).publicKey),
  )
  return {
    access: 'holder',
    suite,
    generation: keyring.current,
    chunkId: current.chunkId,
    mapId: current.mapId,
    chunker: current.chunker,
    index: current.index,
    packList: derivePackListKey(current.index),
    signer: signer ?? ownSigner,
    signingSeed: current.signingSeed,
    ownSigner,
    holders: new Set(holders),
    mapKey: generation => keyring.repositoryKeys(generation).map,
    sealDataKey: (dataKey, domain) =>
      new Uint8Array([envelopeKinds.wrapped, ...wrapDataKey(current.wrap, dataKey, domain)]),
    openDataKey(generation, envelope, domain) {
      const keys = keyring.repositoryKeys(generation)
      const sealed = envelope.subarray(1)
      if (envelope[0] === envelopeKinds.wrapped) return unwrapDataKey(keys.wrap, sealed, domain)
      if (envelope[0] === envelopeKinds.sealed) return openDataKey(keys.opening, sealed, domain)
      throw new GranaryError('GRANARY_UNSUPPORTED', `unknown kind of key envelope ${envelope[0] ?? 'none'}`, {
        hint: 'use a newer Granary',
      })
    },
    controlKeyOf(type, generation = keyring.current) {
      const keys = keyring.repositoryKeys(generation)
      return isManifest(type) ? keys.manifest : keys.session
    },
  }
}

/** Decisions on sessions have a key of their own. */
export const isManifest = (type: ObjectType): boolean => type === 'manifest' || type === 'fence'
