/** Time as code under test sees it. @module */

export interface Clock {
  /** Milliseconds since an epoch of its own. */
  now(): number
  /** Resolves once that much time has passed; rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}
