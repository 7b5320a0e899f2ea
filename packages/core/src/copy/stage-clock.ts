/** Which side of a copy the time goes to. @module */
import type { Bottleneck } from '../progress/progress.ts'

/** Adds up how long calls to each side took, calls in flight at once counted each. */
export class StageClock {
  readonly #spentMs = { source: 0, target: 0 }

  async time<Result>(side: 'source' | 'target', call: Promise<Result>): Promise<Result> {
    const startMs = performance.now()
    try {
      return await call
    } finally {
      this.#spentMs[side] += performance.now() - startMs
    }
  }

  /** The side that took longer so far; undefined when nothing was called. */
  bottleneck(): Bottleneck | undefined {
    const { source, target } = this.#spentMs
    if (source === 0 && target === 0) return undefined
    return source > target ? 'source' : 'target'
  }
}
