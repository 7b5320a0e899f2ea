/**
 * The root keys of a repository, and all that is derived from them.
 *
 * @see docs/formats/keys.md, "Derivations"
 * @module
 */
import { randomBytes } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { deriveKey } from '../hash/blake3.ts'

/** Bytes in a root key, and in every key derived from it. */
export const ROOT_KEY_BYTES = 32

/** More generations than one a week for twenty years; bounds what a hostile keyring can claim. */
const MAX_GENERATIONS = 1024

/** Context strings of the derivations. They are part of the format: never change one. */
const CONTEXTS = {
  chunkId: 'granary 2026 v1 chunk id',
  mapId: 'granary 2026 v1 map id',
  chunker: 'granary 2026 v1 chunker',
  index: 'granary 2026 v1 index',
  map: 'granary 2026 v1 map',
  manifest: 'granary 2026 v1 manifest',
  session: 'granary 2026 v1 session',
  wrap: 'granary 2026 v1 data key wrap',
  opening: 'granary 2026 v1 data key opening',
  signingSeed: 'granary 2026 v1 signing seed',
} as const

const PACK_LIST_CONTEXT = 'granary 2026 v1 pack list'

/** The keys of a repository as one generation sees them, 32 bytes each. */
export interface RepositoryKeys {
  /** Keyed-hash key of chunk ids. Of generation 1 for ever, as deduplication ends where it changes. */
  readonly chunkId: Bytes
  /** Keyed-hash key of map node ids. Of generation 1 for ever. */
  readonly mapId: Bytes
  /** The chunker's secret. Of generation 1 for ever. */
  readonly chunker: Bytes
  /** Domain key of index segments and filters. Of generation 1 for ever. */
  readonly index: Bytes
  /** Domain key of map packs. */
  readonly map: Bytes
  /** Domain key of manifests. */
  readonly manifest: Bytes
  /** Domain key of session objects. */
  readonly session: Bytes
  /** Wraps data keys. */
  readonly wrap: Bytes
  /** X25519 private key, to whose public key write-only clients seal their data keys. */
  readonly opening: Bytes
  /** Ed25519 seed of the repository's signer. */
  readonly signingSeed: Bytes
}

/** Root keys by generation. Immutable: `rotated` gives another keyring. */
export class Keyring {
  /** Root keys, 32 bytes each, by generation, ascending; generation 1 is always there. */
  readonly generations: ReadonlyMap<number, Bytes>
  /** The generation that new objects use. */
  readonly current: number
  readonly #keys = new Map<number, RepositoryKeys>()

  /**
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when generation 1 or the current one is missing, a root is not 32 bytes,
   * or there are more than 1024
   */
  constructor(generations: ReadonlyMap<number, Bytes>, current: number) {
    checkGenerations(generations, current)
    this.generations = new Map([...generations].toSorted(([a], [b]) => a - b).map(([n, root]) => [n, root.slice()]))
    this.current = current
  }

  /** A keyring of one new random root key. */
  static create(): Keyring {
    return new Keyring(new Map([[1, newRoot()]]), 1)
  }

  /** This keyring with a new root key, which becomes the current one. */
  rotated(): Keyring {
    const next = Math.max(...this.generations.keys()) + 1
    return new Keyring(new Map([...this.generations, [next, newRoot()]]), next)
  }

  /**
   * The keys of the repository as `generation` sees them.
   *
   * @throws GranaryError `GRANARY_WRONG_KEY` when this keyring lacks that generation
   */
  repositoryKeys(generation: number = this.current): RepositoryKeys {
    const known = this.#keys.get(generation)
    if (known !== undefined) return known
    const keys = deriveRepositoryKeys(this.#root(1), this.#root(generation))
    this.#keys.set(generation, keys)
    return keys
  }

  #root(generation: number): Bytes {
    const root = this.generations.get(generation)
    if (root !== undefined) return root
    throw new GranaryError('GRANARY_WRONG_KEY', `this keyring has no generation ${generation}`, {
      detail: { generation, current: this.current },
      hint: 'The slot that was opened is older than the last rotation: open with a slot made after it.',
    })
  }
}

/** The domain key of the lists of what packs hold, which everybody can read who has the index key. */
export const derivePackListKey = (indexKey: Bytes): Bytes => {
  checkLength('index key', indexKey, 32)
  return deriveKey(PACK_LIST_CONTEXT, indexKey)
}

/**
 * The keys derived from two root keys, which are the same in the first generation.
 *
 * @param first the root key of generation 1
 * @param root the root key of the generation asked for
 */
export const deriveRepositoryKeys = (first: Bytes, root: Bytes = first): RepositoryKeys => {
  checkLength('root key', first, ROOT_KEY_BYTES)
  checkLength('root key', root, ROOT_KEY_BYTES)
  return {
    chunkId: deriveKey(CONTEXTS.chunkId, first),
    mapId: deriveKey(CONTEXTS.mapId, first),
    chunker: deriveKey(CONTEXTS.chunker, first),
    index: deriveKey(CONTEXTS.index, first),
    map: deriveKey(CONTEXTS.map, root),
    manifest: deriveKey(CONTEXTS.manifest, root),
    session: deriveKey(CONTEXTS.session, root),
    wrap: deriveKey(CONTEXTS.wrap, root),
    opening: deriveKey(CONTEXTS.opening, root),
    signingSeed: deriveKey(CONTEXTS.signingSeed, root),
  }
}

const newRoot = (): Bytes => new Uint8Array(randomBytes(ROOT_KEY_BYTES))

const checkGenerations = (generations: ReadonlyMap<number, Bytes>, current: number): void => {
  const isValid =
    generations.size <= MAX_GENERATIONS &&
    generations.has(1) &&
    generations.has(current) &&
    [...generations.keys()].every(n => Number.isInteger(n) && n >= 1 && n < 2 ** 32)
  if (!isValid) {
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      `keyring: expected generation 1 and the current one (${current}) among at most ${MAX_GENERATIONS}`,
      { detail: { generations: generations.size, current } },
    )
  }
  for (const root of generations.values()) checkLength('root key', root, ROOT_KEY_BYTES)
}
