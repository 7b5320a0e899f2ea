/** Removes temporary files of writers that are gone. @module */
import type { AbortOptions } from '@granary/core'
import { isSessionId } from '../format/ids.ts'
import type { RepositoryContext } from './context.ts'
import { readDecision } from './decisions.ts'
import { isAnnounced } from './session-registry.ts'

export interface SweepOptions extends AbortOptions {
  /** Owners of whom nothing was known when collection began: if nothing is known of them still, they are gone. @default none */
  readonly suspects?: ReadonlySet<string>
  /** The owner that the caller itself writes as: what it is not writing now is of somebody before it. */
  readonly own?: string
}

/**
 * A session's files go once it is decided, or once the storage knows that its process is gone; others' in that case, or as suspects.
 *
 * @returns how many were removed
 */
export const sweepTemporaries = async (
  context: RepositoryContext,
  { suspects = new Set(), own, signal }: SweepOptions = {},
): Promise<number> => {
  const isAlive = async (owner: string): Promise<boolean> =>
    owner !== own && ((await knownAlive(context, owner, signal)) ?? !suspects.has(owner))
  return (await context.backend.sweep?.(isAlive, { signal })) ?? 0
}

/** Owners of temporary files of whom nothing is known: a power cut takes locks away, and sessions that were about to be announced. */
export const listSuspects = async (
  context: RepositoryContext,
  { signal }: AbortOptions = {},
): Promise<ReadonlySet<string>> => {
  const suspects = new Set<string>()
  const note = async (owner: string): Promise<boolean> => {
    if ((await knownAlive(context, owner, signal)) === undefined) suspects.add(owner)
    return true
  }
  await context.backend.sweep?.(note, { signal })
  return suspects
}

const knownAlive = async (
  context: RepositoryContext,
  owner: string,
  signal: AbortSignal | undefined,
): Promise<boolean | undefined> => {
  const isHeld = owner === '' ? undefined : await context.backend.isHeld?.(owner)
  if (isHeld !== undefined || !isSessionId(owner)) return isHeld
  if ((await readDecision(context, owner, { signal })) !== undefined) return false
  return (await isAnnounced(context, owner, { signal })) ? true : undefined
}
