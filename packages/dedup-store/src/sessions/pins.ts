/** Pins: readers (restore, serve) keep the packs of what they read from being collected, forgotten or not, until they end. @module */
import { hostname } from 'node:os'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { isDamage } from '../format/damage.ts'
import { createSessionId } from '../format/ids.ts'
import { openJson } from '../format/sealed-object.ts'
import type { RepositoryContext } from './context.ts'
import { isAlive, startHeartbeat } from './heartbeat.ts'
import type { Heartbeat } from './heartbeat.ts'
import { readSnapshot } from './snapshots.ts'
import type { Snapshot } from './snapshots.ts'

interface PinRecord {
  /** The snapshot that is read. */
  readonly sid: string
  readonly timeMs: number
  readonly host: string
}

export interface PinnedSnapshot extends AsyncDisposable {
  readonly snapshot: Snapshot
}

const pinKey = (id: string): string => `pins/${id}`

/**
 * Pins a snapshot. The pin is put first and the snapshot read afterwards: one forgotten before that is refused,
 * one forgotten after that stays readable through this pin.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such snapshot, or it was forgotten
 */
export const pinSnapshot = async (
  context: RepositoryContext,
  sid: string,
  options: AbortOptions = {},
): Promise<PinnedSnapshot> => {
  const id = createSessionId()
  const key = pinKey(id)
  const heartbeat: Heartbeat = await startHeartbeat(context, {
    key,
    type: 'pin',
    name: `pin-${id}`,
    content: { sid, host: hostname() },
  })
  const release = async (): Promise<void> => {
    await heartbeat[Symbol.asyncDispose]()
    await context.backend.delete(key).catch(() => undefined) // It ends by its age, too.
  }
  try {
    await context.backend.sync(options)
    return { snapshot: await readSnapshot(context, sid, options), [Symbol.asyncDispose]: release }
  } catch (error) {
    await release()
    throw error
  }
}

/**
 * The snapshots that living readers hold; pins of dead ones are removed.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when a pin can't be read whose reader is not known to be dead: what it holds is unknown
 */
export const listPinned = async (
  context: RepositoryContext,
  { isDryRun, signal }: AbortOptions & { readonly isDryRun: boolean },
): Promise<Set<string>> => {
  const sids = new Set<string>()
  for await (const { key } of context.backend.list('pins/', { signal })) {
    const name = `pin-${key.slice('pins/'.length)}`
    const isDead = (await context.backend.isHeld?.(name)) === false
    const sid = isDead ? undefined : await readPin(context, key, { signal })
    if (sid !== undefined && (await isAlive(context, { key, type: 'pin', name, sinceMs: 0 }))) sids.add(sid)
    else if (!isDryRun) await context.backend.delete(key)
  }
  return sids
}

/** What a pin holds; undefined when its reader ended meanwhile. */
const readPin = async (context: RepositoryContext, key: string, options: AbortOptions): Promise<string | undefined> => {
  try {
    return openJson<PinRecord>(context.keys, 'pin', key, await context.backend.get(key, options)).sid
  } catch (error) {
    if (isGranaryError(error) && error.code === 'GRANARY_NOT_FOUND') return undefined
    if (!isDamage(error)) throw error
    throw new GranaryError(
      'GRANARY_CORRUPT',
      `${key}: a reader holds something that can't be read, so nothing is collected`,
      {
        detail: { object: key },
        cause: error,
        hint: 'end the reader, or remove the file when no restore is running',
      },
    )
  }
}
