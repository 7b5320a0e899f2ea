/** How fast work goes, and when it will be done. @module */
import type { Clock } from './progress.ts'

export interface RateMeterOptions {
  /** How far back the rate looks, milliseconds. @default 10_000 */
  readonly windowMs?: number
  /** @default performance.now */
  readonly now?: Clock
}

export interface RateMeter {
  /** Takes the total done so far. */
  update(doneBytes: number): void
  /** Over the window; undefined until two different moments are known. */
  bytesPerSecond(): number | undefined
  /** Seconds until `totalBytes` at this rate; undefined when nothing moves or nothing is known. */
  secondsLeft(totalBytes: number): number | undefined
}

/** Samples kept per window: memory stays the same however often `update` is called. */
const SAMPLES = 32

/** A meter over a sliding window: it follows a change of speed within the window and does not jump. */
export const rateMeter = ({ windowMs = 10_000, now = () => performance.now() }: RateMeterOptions = {}): RateMeter => {
  const samples: { ms: number; doneBytes: number }[] = []
  let latest: { ms: number; doneBytes: number } | undefined

  const bytesPerSecond = (): number | undefined => {
    const oldest = samples[0]
    if (oldest === undefined || latest === undefined) return undefined
    const elapsedMs = now() - oldest.ms // Until now, not until the last update: a stalled source shows.
    return elapsedMs > 0 ? ((latest.doneBytes - oldest.doneBytes) * 1000) / elapsedMs : undefined
  }
  return {
    update(doneBytes) {
      latest = { ms: now(), doneBytes }
      const newest = samples.at(-1)
      if (newest === undefined || latest.ms - newest.ms >= windowMs / SAMPLES) samples.push(latest)
      // One sample at the edge of the window stays, so that the window is always spanned.
      while (samples.length > 2 && (samples[1]?.ms ?? Infinity) <= latest.ms - windowMs) samples.shift()
    },
    bytesPerSecond,
    secondsLeft(totalBytes) {
      const rate = bytesPerSecond()
      if (rate === undefined || rate <= 0 || latest === undefined) return undefined
      return Math.max(totalBytes - latest.doneBytes, 0) / rate
    },
  }
}
