/** The keys of a repository as a write-only client has them. @module */
import { GranaryError } from '@granary/core'
import { createSigner, derivePackListKey, sealDataKey } from '@granary/transform'
import { hexOfId } from '../format/ids.ts'
import { envelopeKinds, isManifest } from '../format/repository-keys.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import type { ClientFile, ClientGeneration } from './client-file.ts'

export const clientKeys = (file: ClientFile, suite: string): RepositoryKeys => {
  const ownSigner = createSigner(file.signingSeed)
  const of = (generation: number): ClientGeneration => {
    const keys = file.generations.get(generation)
    if (keys !== undefined) return keys
    throw new GranaryError(
      'GRANARY_WRONG_KEY',
      `the keys of client ${file.name} do not reach generation ${generation}`,
      {
        detail: { client: file.name, generation, current: file.current },
        hint: 'the keys of the repository were rotated since: have a new client file made with `granary client add`',
      },
    )
  }
  return {
    access: 'client',
    suite,
    generation: file.current,
    chunkId: file.chunkId,
    mapId: file.mapId,
    chunker: file.chunker,
    index: file.index,
    packList: derivePackListKey(file.index),
    signer: ownSigner,
    signingSeed: file.signingSeed,
    ownSigner,
    holders: new Set([...file.generations.values()].map(({ holder }) => hexOfId(holder))),
    mapKey: generation => of(generation).map,
    sealDataKey: (dataKey, domain) =>
      new Uint8Array([envelopeKinds.sealed, ...sealDataKey(file.sealTo, dataKey, domain)]),
    openDataKey() {
      throw new GranaryError(
        'GRANARY_WRONG_KEY',
        `client ${file.name} can only write: it has no key that opens a chunk`,
        {
          detail: { client: file.name },
          hint: 'restore with the key file or passphrase of the repository',
        },
      )
    },
    controlKeyOf(type, generation = file.current) {
      const keys = of(generation)
      return isManifest(type) ? keys.manifest : keys.session
    },
  }
}
