/** Waits until something of the engine is as it should be, asking at most once in two seconds. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'

export interface WaitOptions<State> extends AbortOptions {
  readonly clock: Clock
  readonly timeoutMs: number
  /** For the error: "backup 1f3a of VM web is ready". */
  readonly what: string
  /** True ends the waiting; what it throws does, too. */
  readonly isDone: (state: State) => boolean
  /** Names a state in the error. */
  readonly describe?: (state: State) => string
  /** What is known already, such as the answer to the request that made it: the first reading is later then. */
  readonly known?: State
}

/** Between two looks at a backup, at a disk, or at the transfers of a backup. */
export const POLL_MS = 2000

/**
 * Reads until `isDone`. The first reading is at once, unless a state is known.
 *
 * @throws GranaryError `GRANARY_TIMEOUT` when it takes longer
 */
export const waitFor = async <State>(
  read: () => Promise<State>,
  { clock, timeoutMs, what, isDone, describe, known, signal }: WaitOptions<State>,
): Promise<State> => {
  const endMs = clock.now() + timeoutMs
  for (let state = known ?? (await read()); ; state = await read()) {
    if (isDone(state)) return state
    if (clock.now() >= endMs) {
      const found = describe?.(state)
      throw new GranaryError(
        'GRANARY_TIMEOUT',
        `waited ${Math.round(timeoutMs / 1000)} s until ${what}${found === undefined ? '' : `; it is ${found}`}`,
        { detail: { timeoutMs, ...(found === undefined ? {} : { found }) }, retryable: true },
      )
    }
    await clock.sleep(POLL_MS, signal)
  }
}
