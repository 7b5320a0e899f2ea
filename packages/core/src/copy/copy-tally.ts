/** Adds up a copy and reports its progress. @module */
import { throttle } from '../progress/progress.ts'
import type { OnProgress, ThrottledProgress } from '../progress/progress.ts'
import { addCounts, noCounts } from './copy-counts.ts'
import type { CopyCounts } from './copy-counts.ts'
import type { StageClock } from './stage-clock.ts'

const PROGRESS_PER_SECOND = 10

export interface CopyTallyOptions {
  readonly clock: StageClock
  readonly totalBytes?: number
  readonly onProgress: OnProgress | undefined
}

export class CopyTally {
  readonly #counts = noCounts()
  readonly #progress: ThrottledProgress | undefined
  readonly #clock: StageClock
  readonly #totalBytes: number | undefined
  #doneBytes = 0
  #readBytes = 0

  constructor({ clock, totalBytes, onProgress }: CopyTallyOptions) {
    this.#clock = clock
    this.#totalBytes = totalBytes
    this.#progress = onProgress === undefined ? undefined : throttle(onProgress, PROGRESS_PER_SECOND)
  }

  add(counts: CopyCounts, { doneBytes, readBytes }: { doneBytes: number; readBytes: number }): void {
    addCounts(this.#counts, counts)
    this.#doneBytes += doneBytes
    this.#readBytes += readBytes
    const limitedBy = this.#clock.bottleneck()
    this.#progress?.report({
      phase: 'copy',
      doneBytes: this.#doneBytes,
      readBytes: this.#readBytes,
      storedBytes: this.#counts.writtenBytes,
      ...(this.#totalBytes === undefined ? {} : { totalBytes: this.#totalBytes }),
      ...(limitedBy === undefined ? {} : { limitedBy }),
    })
  }

  /** Reports what was held back, and gives the totals. */
  end(): CopyCounts {
    this.#progress?.flush()
    return this.#counts
  }
}
