/** A repository: made once, opened with a secret, and then asked to back up, list, read, forget, collect and check. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { readChunkerParameters } from '@granary/chunker'
import type { ChunkerParameters } from '@granary/chunker'
import { DEFAULT_SUITE, Keyring } from '@granary/transform'
import type { CreateSlotOptions, NewSecret, Secret, Signer } from '@granary/transform'
import type { Backend } from './backends/backend.ts'
import { CONFIG_KEY, createPublicLine, encodeConfig, openSettings, readPublicConfig } from './config.ts'
import type { PublicConfig, RepositorySettings } from './config.ts'
import { clientKeys } from './clients/client-keys.ts'
import { decodeClientFile } from './clients/client-file.ts'
import { repositoryKeys } from './format/repository-keys.ts'
import type { RepositoryKeys } from './format/repository-keys.ts'
import { addSlot, unlock } from './key-slots.ts'
import { systemClock } from './sessions/clock.ts'
import type { Clock } from './sessions/clock.ts'
import type { RepositoryContext } from './sessions/context.ts'
import { getOptional } from './sessions/decisions.ts'
import { putHeld } from './sessions/put-held.ts'
import { chooseSettings } from './settings.ts'
import type { SettingsOptions } from './settings.ts'

/** Settings left out are `aes-256-gcm`, `zstd:3` and `grid:128k`. */
export interface InitOptions extends AbortOptions, SettingsOptions {
  /** @default { label: 'first' } */
  readonly slot?: CreateSlotOptions
}

export interface OpenOptions extends AbortOptions {
  readonly clock?: Clock
  /** After this long without a sign of life a session may be fenced. @default 30 minutes */
  readonly timeToLiveMs?: number
  /** Bytes of index pages kept in memory. @default 64 MiB */
  readonly indexCacheBytes?: number
  /** Signs manifests and forget marks; `addHolderSigner` makes it known. @default one derived from the root key */
  readonly signer?: Signer
}

/** What opens a repository: the secret of a slot, or the file of a write-only client. */
export type Access = Secret | { readonly kind: 'client'; readonly file: Bytes }

/** An open repository. It owns its backend. */
export interface Repository extends AsyncDisposable {
  readonly context: RepositoryContext
  /** Undefined for a write-only client. */
  readonly keyring: Keyring | undefined
  readonly config: PublicConfig
  readonly settings: RepositorySettings
}

const TIME_TO_LIVE_MS = 30 * 60_000

/**
 * Makes a repository. It exists from the moment its config does, which is put last.
 *
 * @throws GranaryError `GRANARY_EXISTS` when there is one; `GRANARY_INVALID_ARGUMENT` when a setting is unknown
 */
export const initRepository = async (
  backend: Backend,
  secret: NewSecret,
  options: InitOptions = {},
): Promise<PublicConfig> => {
  const settings = chooseSettings(options)
  const { signal } = options
  if ((await getOptional(backend, CONFIG_KEY, signal)) !== undefined) throw exists(backend)
  await backend.probe?.({ signal })
  for await (const { key } of backend.list('', { signal })) {
    if (!key.startsWith('keys/')) {
      throw new GranaryError('GRANARY_EXISTS', `${backend.location} is not empty: it has ${key}, and no config`, {
        detail: { location: backend.location, object: key },
        hint: 'give an empty folder',
      })
    }
  }
  const keyring = Keyring.create()
  const slot = await addSlot(backend, keyring, secret, options.slot ?? { label: 'first' })
  const config = await encodeConfig(repositoryKeys(keyring, settings.suite), createPublicLine(), settings)
  if ((await putHeld(backend, CONFIG_KEY, config, { ifAbsent: true, signal })) === 'exists') {
    await backend.delete(`keys/${slot}`) // Another init was first: its keys are the ones.
    throw exists(backend)
  }
  return readPublicConfig(config, backend.location).shown
}

const exists = (backend: Backend): GranaryError =>
  new GranaryError('GRANARY_EXISTS', `${backend.location} is a Granary repository already`, {
    detail: { location: backend.location },
    hint: 'use it, or give another folder',
  })

/**
 * Opens a repository.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is none; `GRANARY_WRONG_KEY` when the secret opens no slot;
 * `GRANARY_UNSUPPORTED` when it is of a newer format; `GRANARY_CORRUPT`, `GRANARY_AUTHENTICATION` when it is damaged
 */
export const openRepository = async (
  backend: Backend,
  access: Access,
  options: OpenOptions = {},
): Promise<Repository> => {
  const { signal } = options
  const bytes = await getOptional(backend, CONFIG_KEY, signal)
  if (bytes === undefined) {
    throw new GranaryError('GRANARY_NOT_FOUND', `there is no Granary repository at ${backend.location}`, {
      detail: { location: backend.location },
      hint: '`granary init` makes one',
    })
  }
  const { shown, line } = readPublicConfig(bytes, backend.location)
  const { keyring, keysFor } = await keysOf(backend, access, { ...options, id: shown.id })
  const acceptsUnsigned = await hasNoSigners(backend, signal)
  const { settings, unsignedCollections } = openSettings(keysFor(DEFAULT_SUITE), bytes, line, { acceptsUnsigned })
  const chunker: ChunkerParameters = readChunkerParameters(settings.chunker)
  const context: RepositoryContext = {
    backend,
    keys: keysFor(settings.suite),
    clock: options.clock ?? systemClock,
    timeToLiveMs: options.timeToLiveMs ?? TIME_TO_LIVE_MS,
    unsignedCollections: unsignedCollections ?? Infinity,
    ...(options.indexCacheBytes === undefined ? {} : { indexCacheBytes: options.indexCacheBytes }),
  }
  return {
    context,
    keyring,
    config: shown,
    settings: { ...settings, chunker },
    [Symbol.asyncDispose]: async () => await backend[Symbol.asyncDispose](),
  }
}

interface OpenKeys {
  readonly keyring: Keyring | undefined
  readonly keysFor: (suite: string) => RepositoryKeys
}

const keysOf = async (
  backend: Backend,
  access: Access,
  { signal, signer, id }: OpenOptions & { readonly id: string },
): Promise<OpenKeys> => {
  if (access.kind !== 'client') {
    const keyring = await unlock(backend, access, { signal })
    return { keyring, keysFor: suite => repositoryKeys(keyring, suite, signer) }
  }
  const file = decodeClientFile(access.file)
  if (file.repository === id) return { keyring: undefined, keysFor: suite => clientKeys(file, suite) }
  throw new GranaryError(
    'GRANARY_WRONG_KEY',
    `client ${file.name} was made for another repository, ${file.repository}`,
    {
      detail: { expected: file.repository, found: id, location: backend.location },
      hint: 'give the repository it was made for, or the client file of this one',
    },
  )
}

/** Before there is a client, only key holders can make what opens; so a config of old, which isn't signed, is one of theirs. */
const hasNoSigners = async (backend: Backend, signal: AbortSignal | undefined): Promise<boolean> => {
  for await (const _ of backend.list('signers/', { signal })) return false
  return true
}
