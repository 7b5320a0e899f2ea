/** What long work says of itself while it runs. @module */

/** The stage that the others wait for. */
export type Bottleneck = 'source' | 'cpu' | 'target'

export type ProgressPhase = 'backup' | 'restore' | 'copy' | 'check' | 'gc' | 'verify'

/** Totals since the start of the phase. Counts are bytes and never fall. */
export interface ProgressEvent {
  readonly phase: ProgressPhase
  /** How much of the work is behind us, holes and unchanged ranges included. */
  readonly doneBytes: number
  /** Undefined while it is not known, such as from standard input. */
  readonly totalBytes?: number
  /** Read from the source. */
  readonly readBytes: number
  /** Content that was not known before. */
  readonly newBytes?: number
  /** Written to the target, after compression. */
  readonly storedBytes: number
  readonly limitedBy?: Bottleneck
}

export type OnProgress = (event: ProgressEvent) => void

/** Milliseconds since some fixed moment. */
export type Clock = () => number

export interface ThrottledProgress {
  /** Passes an event on when its turn has come, else keeps it in case it stays the last one. */
  report: OnProgress
  /** Passes on the event that was kept, if any. Call it at the end. */
  flush(): void
}

/**
 * Lets through the first event of each phase and then `perSecond` of them. It sets no timer, so nothing is left running.
 *
 * @param now @default performance.now
 */
export const throttle = (
  onProgress: OnProgress,
  perSecond: number,
  now: Clock = () => performance.now(),
): ThrottledProgress => {
  let lastMs = -Infinity
  let lastPhase: ProgressPhase | undefined
  let kept: ProgressEvent | undefined
  return {
    report(event) {
      const ms = now()
      if (event.phase === lastPhase && ms - lastMs < 1000 / perSecond) {
        kept = event
        return
      }
      if (event.phase !== lastPhase && kept !== undefined) onProgress(kept) // The end of the phase before.
      lastMs = ms
      lastPhase = event.phase
      kept = undefined
      onProgress(event)
    },
    flush() {
      const event = kept
      kept = undefined
      if (event !== undefined) onProgress(event)
    },
  }
}
