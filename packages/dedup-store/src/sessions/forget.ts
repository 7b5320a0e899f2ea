/** Forgetting: a signed mark beside the commit. Space comes back when collection runs. @module */
import { hostname } from 'node:os'
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { blake3 } from '@granary/transform'
import { isDamage } from '../format/damage.ts'
import { hexOfId } from '../format/ids.ts'
import { sealSigned } from '../format/signed-object.ts'
import { commitKey } from './decisions.ts'
import { putHeld } from './put-held.ts'
import type { RepositoryContext } from './context.ts'
import { forgetKey, readSnapshot } from './snapshots.ts'

/** A snapshot whose manifest is damaged can be forgotten, too: nothing else would let collection go on. */
const hashOf = async (context: RepositoryContext, sid: string, options: AbortOptions): Promise<string> => {
  try {
    return (await readSnapshot(context, sid, options)).hash
  } catch (error) {
    if (!isDamage(error)) throw error
    return hexOfId(blake3(await context.backend.get(commitKey(sid), options)))
  }
}

/**
 * Marks a snapshot as forgotten. The mark keeps the hash of its manifest, so that a signed forget can be told from a removal.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such snapshot; `GRANARY_WRONG_KEY` for a write-only client
 */
export const forgetSnapshot = async (
  context: RepositoryContext,
  sid: string,
  options: AbortOptions = {},
): Promise<void> => {
  if (context.keys.access === 'client') {
    throw new GranaryError('GRANARY_WRONG_KEY', "a write-only client can't forget snapshots, not even its own", {
      hint: 'forget them where the key file or passphrase is',
    })
  }
  const hash = await hashOf(context, sid, options)
  const key = forgetKey(sid)
  const mark = { sid, hash, timeMs: context.clock.now(), host: hostname() }
  const body = await sealSigned(context.keys, 'forget', key, mark)
  await putHeld(context.backend, key, body, { ifAbsent: true, signal: options.signal })
}
