/** Which stage the others wait for, from where the time of the last windows went. @module */
import type { Bottleneck } from '@granary/core'
import type { WindowTimes } from './window-job.ts'

export interface BottleneckMeter {
  add(times: WindowTimes): void
  /** Undefined until a window is done. */
  limitedBy(): Bottleneck | undefined
}

/** Weight that what came before keeps with each window: the last ten or so decide. */
const KEEP = 0.9

/** A stage that takes this share of the time is what limits. */
const SHARE = 0.5

export const createBottleneckMeter = (): BottleneckMeter => {
  let [totalMs, sourceMs, targetMs] = [0, 0, 0]
  return {
    add(times) {
      totalMs = totalMs * KEEP + times.totalMs
      sourceMs = sourceMs * KEEP + times.sourceMs
      targetMs = targetMs * KEEP + times.targetMs
    },
    limitedBy() {
      if (totalMs === 0) return undefined
      if (sourceMs > totalMs * SHARE) return 'source'
      return targetMs > totalMs * SHARE ? 'target' : 'cpu'
    },
  }
}
