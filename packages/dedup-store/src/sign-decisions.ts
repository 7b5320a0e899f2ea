/**
 * Repositories of old have a config and collections without signatures. Before there is a client, who could make such objects,
 * all of that is closed: the config is signed, and says from which collection on nothing unsigned counts.
 *
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { CONFIG_KEY, encodeConfig, openSettings, readPublicConfig } from './config.ts'
import { readGcState } from './gc/gc-state.ts'
import type { Repository } from './repository.ts'
import { putHeld } from './sessions/put-held.ts'

export const signDecisions = async ({ context }: Repository, { signal }: AbortOptions = {}): Promise<void> => {
  const { backend, keys } = context
  const bytes = await backend.get(CONFIG_KEY, { signal })
  const { line } = readPublicConfig(bytes, backend.location)
  const { settings, unsignedCollections } = openSettings(keys, bytes, line, { acceptsUnsigned: true })
  if (unsignedCollections !== undefined) return
  const { number } = await readGcState(context, { signal })
  await putHeld(backend, CONFIG_KEY, await encodeConfig(keys, line, settings, number), { signal })
}
