/** Time, handed in so that tests own it. Safety never rests on it: it only decides when to fence and what to print. @module */
import { setTimeout as sleep } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /**
   * Resolves when `now` is later by that much, not before.
   *
   * @throws the signal's reason when it is aborted
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    try {
      // A timer of Node may be early by a fraction of a millisecond, which `now` does not know.
      await sleep(ms + 1, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
}
