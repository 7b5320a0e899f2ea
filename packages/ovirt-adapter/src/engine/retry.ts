/** Repeats what may succeed later, waiting longer each time. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { Clock } from '@granary/dedup-store'

export interface RetryOptions {
  readonly clock: Clock
  /** How long an engine may be away, from the first failure on. */
  readonly outageTimeoutMs: number
  /** How long a 409 ("not now") is repeated. */
  readonly conflictTimeoutMs: number
  readonly signal?: AbortSignal | undefined
}

const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 30_000

/**
 * Calls `attempt` until it succeeds, fails for good, or has failed for too long. What is thrown then is the last failure.
 *
 * @param attempt gets the failure before it
 */
export const retry = async <Result>(
  attempt: (last: unknown) => Promise<Result>,
  { clock, outageTimeoutMs, conflictTimeoutMs, signal }: RetryOptions,
): Promise<Result> => {
  const firstFailure: { conflict?: number; outage?: number } = {}
  let last: unknown
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)) {
    try {
      return await attempt(last)
    } catch (error) {
      signal?.throwIfAborted()
      if (!isGranaryError(error) || !error.retryable) throw error
      const kind = error.code === 'GRANARY_LOCKED' ? 'conflict' : 'outage'
      const limitMs = kind === 'conflict' ? conflictTimeoutMs : outageTimeoutMs
      const since = (firstFailure[kind] ??= clock.now())
      const leftMs = since + limitMs - clock.now()
      if (leftMs <= 0) throw limitMs === 0 ? error : gaveUp(error, limitMs)
      last = error
      await clock.sleep(Math.min(waitMs, leftMs), signal)
    }
  }
}

const gaveUp = (error: GranaryError, limitMs: number): GranaryError =>
  new GranaryError(error.code, `${error.message}; given up after ${Math.round(limitMs / 1000)} s`, {
    detail: error.detail,
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  })

/** Whether a request that failed so may have been applied all the same. */
export const mayBeApplied = (error: unknown): boolean =>
  isGranaryError(error) &&
  (error.detail['isApplied'] === 'unknown' || [502, 503, 504].includes(Number(error.detail['status'])))
