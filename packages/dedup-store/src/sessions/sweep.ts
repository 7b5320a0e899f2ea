/** Removes temporary files of writers that are gone. @module */
import type { AbortOptions } from '@granary/core'
import { isSessionId } from '../format/ids.ts'
import type { RepositoryContext } from './context.ts'
import { readDecision } from './decisions.ts'

/**
 * A session's files go once it is decided, or once the storage knows that its process is gone; others' only in that case.
 *
 * @returns how many were removed
 */
export const sweepTemporaries = async (context: RepositoryContext, { signal }: AbortOptions = {}): Promise<number> => {
  const { backend } = context
  const isAlive = async (owner: string): Promise<boolean> => {
    const isHeld = owner === '' ? undefined : await backend.isHeld?.(owner)
    if (isHeld !== undefined) return isHeld
    return !(isSessionId(owner) && (await readDecision(context, owner, { signal })) !== undefined)
  }
  return (await backend.sweep?.(isAlive, { signal })) ?? 0
}
