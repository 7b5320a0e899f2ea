/**
 * What new objects are made with. Everything stored names its own suite, compression and chunker, so the settings may change
 * at any time, and what is there stays readable.
 *
 * @see docs/formats/repository.md, "Config"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { parseChunker } from '@granary/chunker'
import { DEFAULT_SUITE, parseCompression, suiteByName } from '@granary/transform'
import { CONFIG_KEY, encodeConfig, openSettings, readPublicConfig } from './config.ts'
import type { RepositorySettings } from './config.ts'
import { repositoryKeys } from './format/repository-keys.ts'
import { readGcState } from './gc/gc-state.ts'
import { requireHolder } from './require-holder.ts'
import type { Repository } from './repository.ts'
import { putHeld } from './sessions/put-held.ts'

/** Settings as people write them. */
export interface SettingsOptions {
  /** Name of a suite of @granary/transform. */
  readonly suite?: string
  /** Such as `zstd:3`. */
  readonly compression?: string
  /** Such as `grid:128k`. */
  readonly chunker?: string
}

const DEFAULTS: RepositorySettings = {
  suite: DEFAULT_SUITE,
  compression: 'zstd:3',
  chunker: parseChunker('grid:128k'),
}

/**
 * Settings with some of them chosen anew.
 *
 * @param base @default those of a repository that names none
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT`, `GRANARY_UNSUPPORTED` when a setting is unknown
 */
export const chooseSettings = (
  { suite, compression, chunker }: SettingsOptions,
  base: RepositorySettings = DEFAULTS,
): RepositorySettings => {
  if (compression !== undefined) parseCompression(compression)
  return {
    ...base,
    ...(suite === undefined ? {} : { suite: suiteByName(suite).name }),
    ...(compression === undefined ? {} : { compression }),
    ...(chunker === undefined ? {} : { chunker: parseChunker(chunker) }),
  }
}

/**
 * Changes settings of a repository, and gives back all of them. They count for whoever opens it from then on, and a reader at
 * any instant, also after a power cut, finds the old config or the new one. When two change settings at once, the last wins.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT`, `GRANARY_UNSUPPORTED` when a setting is unknown; nothing is changed then
 */
export const changeSettings = async (
  repository: Repository,
  changes: SettingsOptions,
  { signal }: AbortOptions = {},
): Promise<RepositorySettings> => {
  const { context } = repository
  const { backend } = context
  const keyring = requireHolder(repository, 'change settings')
  // Read again: somebody else may have changed other settings since the repository was opened.
  const bytes = await backend.get(CONFIG_KEY, { signal })
  const { line } = readPublicConfig(bytes, backend.location)
  const acceptsUnsigned = context.unsignedCollections === Infinity
  const before = openSettings(context.keys, bytes, line, { acceptsUnsigned })
  const settings = chooseSettings(changes, before.settings)
  const unsigned = before.unsignedCollections ?? (await readGcState(context, { signal })).number
  const config = await encodeConfig(repositoryKeys(keyring, settings.suite), line, settings, unsigned)
  await putHeld(backend, CONFIG_KEY, config, { signal })
  return settings
}
