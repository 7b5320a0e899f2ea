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

const { timeOrigin } = performance

/** Real milliseconds since 1970, with fractions: never set back, and finer than the timers, which may be early by one. */
const wallMs = (): number => timeOrigin + performance.now()

/**
 * Makes a clock that runs by itself.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the speed is out of its range
 */
export const createRealClock = (options: RealClockOptions = {}): SimulatorClock => {
  const { speed = 1, originMs = wallMs() } = options
  if (!(speed >= 1 && speed <= 100_000))
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `speed ${speed}: expected 1 to 100000`)
  const timers = new Map<object, NodeJS.Timeout>()
  const now = (): number => originMs + (wallMs() - originMs) * speed
  const toReal = (ms: number): number => Math.min(Math.max(ms, 0) / speed, LONGEST_TIMER_MS)
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    const dueMs = now() + ms
    do {
      signal?.throwIfAborted()
      await realSleep(toReal(dueMs - now()), undefined, signal === undefined ? {} : { signal }).catch(
        (error: unknown) => {
          signal?.throwIfAborted()
          throw error
        },
      )
    } while (now() < dueMs)
  }
  return {
    now: () => Math.floor(now()),
    sleep,
    schedule(ms, task) {
      const key = {}
      const dueMs = now() + ms
      const wait = (): void => {
        const timer = setTimeout(
          () => {
            if (now() < dueMs) return wait()
            timers.delete(key)
            void task({ sleep, [Symbol.dispose]: () => undefined })
          },
          toReal(dueMs - now()),
        ).unref()
        timers.set(key, timer)
      }
      wait()
      return () => {
        clearTimeout(timers.get(key))
        timers.delete(key)
      }
    },
    hold: () => ({ sleep, [Symbol.dispose]: () => undefined }),
    async [Symbol.asyncDispose]() {
      for (const timer of timers.values()) clearTimeout(timer)
      timers.clear()
    },
  }
}
