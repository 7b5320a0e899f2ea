/** Forgetting: a signed mark beside the commit. Space comes back when collection runs. @module */
import { hostname } from 'node:os'
import type { AbortOptions } from '@granary/core'
import { sealSigned } from './manifest.ts'
import { putHeld } from './put-held.ts'
import type { RepositoryContext } from './context.ts'
import { forgetKey, readSnapshot } from './snapshots.ts'

/**
 * Marks a snapshot as forgotten. The mark keeps the hash of its manifest, so that a signed forget can be told from a removal.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such snapshot
 */
export const forgetSnapshot = async (
  context: RepositoryContext,
  sid: string,
  options: AbortOptions = {},
): Promise<void> => {
  const { hash } = await readSnapshot(context, sid, options)
  const key = forgetKey(sid)
  const mark = { sid, hash, timeMs: context.clock.now(), host: hostname() }
  const body = sealSigned(context.keys, 'forget', key, mark)
  await putHeld(context.backend, key, body, { ifAbsent: true, signal: options.signal })
}
