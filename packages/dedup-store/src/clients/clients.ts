/** Write-only clients: machines that back up, and whose keys open no chunk, neither of others nor of their own. @module */
import { randomBytes } from 'node:crypto'
import type { AbortOptions, Bytes } from '@granary/core'
import { createSigner, publicKeyOf } from '@granary/transform'
import type { Keyring } from '@granary/transform'
import { requireHolder } from '../require-holder.ts'
import type { Repository } from '../repository.ts'
import { signDecisions } from '../sign-decisions.ts'
import { addSigner, readSigners, revokeSigner } from '../sessions/signers.ts'
import type { SignerEntry } from '../sessions/signers.ts'
import { listDecisions } from '../sessions/snapshots.ts'
import { encodeClientFile } from './client-file.ts'
import type { ClientGeneration } from './client-file.ts'

/**
 * Makes a write-only client known, and what it must hold. The file is secret: who has it can store in the client's name, see
 * names and layout, and confirm guesses about content.
 *
 * @returns the id of the client and the bytes of its file
 * @throws GranaryError `GRANARY_WRONG_KEY` when this is a client itself; `GRANARY_EXISTS` when the name is taken
 */
export const addClient = async (
  repository: Repository,
  name: string,
  options: AbortOptions = {},
): Promise<{ readonly id: string; readonly file: Bytes }> => {
  const keyring = requireHolder(repository, 'make a client')
  const { context, config } = repository
  await signDecisions(repository, options)
  const signingSeed = new Uint8Array(randomBytes(32))
  const { publicKey } = createSigner(signingSeed)
  const id = await addSigner(context, { kind: 'client', name, publicKey }, options)
  const keys = keyring.repositoryKeys()
  const file = encodeClientFile({
    repository: config.id,
    id,
    name,
    created: new Date(context.clock.now()).toISOString(),
    chunkId: keys.chunkId,
    mapId: keys.mapId,
    chunker: keys.chunker,
    index: keys.index,
    current: keyring.current,
    generations: new Map(
      [...keyring.generations.keys()].map(generation => [generation, generationOf(keyring, generation)]),
    ),
    sealTo: publicKeyOf(keys.opening),
    signingSeed,
  })
  return { id, file }
}

const generationOf = (keyring: Keyring, generation: number): ClientGeneration => {
  const { map, manifest, session, signingSeed } = keyring.repositoryKeys(generation)
  return { map, manifest, session, holder: createSigner(signingSeed).publicKey }
}

/** All clients and signers that were ever made known. */
export const listSigners = async ({ context }: Repository, options: AbortOptions = {}): Promise<SignerEntry[]> => [
  ...(await readSigners(context, options)).entries,
]

/**
 * Makes a signer of manifests known that isn't derived from the root key, such as one in a hardware module: give it to
 * `openRepository` as `signer` then.
 *
 * @throws GranaryError as `addClient`
 */
export const addHolderSigner = async (
  repository: Repository,
  { name, publicKey }: { readonly name: string; readonly publicKey: Bytes },
  options: AbortOptions = {},
): Promise<string> => {
  requireHolder(repository, 'add a signer')
  return await addSigner(repository.context, { kind: 'holder', name, publicKey }, options)
}

/**
 * Revokes a client or a signer, by id or name. Its snapshots up to now stay good; what it commits from now on is shown as not
 * verified, and nothing builds on it. It keeps what it knows: rotate keys, too, where that matters.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is none
 */
export const revoke = async (
  repository: Repository,
  idOrName: string,
  options: AbortOptions = {},
): Promise<SignerEntry> => {
  requireHolder(repository, 'revoke')
  const { context } = repository
  const sessionsOf = async (publicKey: string): Promise<string[]> => {
    const sids: string[] = []
    for await (const { sid, decision } of listDecisions(context, { ...options, onDamaged: () => undefined }))
      if (decision.kind === 'manifest' && decision.signer === publicKey) sids.push(sid)
    return sids
  }
  return await revokeSigner(context, idOrName, sessionsOf, options)
}
