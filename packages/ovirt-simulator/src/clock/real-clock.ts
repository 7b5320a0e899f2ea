/** The time of the machine, or the same made faster: for a simulator and clients in processes of their own. @module */
import { setTimeout as realSleep } from 'node:timers/promises'
import { GranaryError } from '@granary/core'
import type { SimulatorClock } from './clock.ts'

export interface RealClockOptions {
  /** Seconds of the clock in a real second: 1 to 100,000. @default 1 */
  readonly speed?: number
  /** When the faster time begins, real milliseconds since 1970: processes that agree on it agree on the time. @default now */
  readonly originMs?: number
}

/** Milliseconds: the longest that a timer of Node can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * Makes a clock that runs by itself.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the speed is out of its range
 */
export const createRealClock = (options: RealClockOptions = {}): SimulatorClock => {
  const { speed = 1, originMs = Date.now() } = options
  if (!(speed >= 1 && speed <= 100_000))
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `speed ${speed}: expected 1 to 100000`)
  const timers = new Set<NodeJS.Timeout>()
  const toReal = (ms: number): number => Math.min(ms / speed, LONGEST_TIMER_MS)
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
    await realSleep(toReal(ms), undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
      signal?.throwIfAborted()
      throw error
    })
  }
  return {
    now: () => Math.floor(originMs + (Date.now() - originMs) * speed),
    sleep,
    schedule(ms, task) {
      const timer = setTimeout(() => {
        timers.delete(timer)
        void task({ sleep, [Symbol.dispose]: () => undefined })
      }, toReal(ms)).unref()
      timers.add(timer)
      return () => {
        clearTimeout(timer)
        timers.delete(timer)
      }
    },
    hold: () => ({ sleep, [Symbol.dispose]: () => undefined }),
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
    },
  }
}
