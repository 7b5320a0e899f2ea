/** Mutual exclusion of overlapping ranges, for writes that must read a block before they change it. @module */
import type { Range } from './block-grid.ts'

interface Holder {
  readonly range: Range
  readonly released: Promise<void>
}

export class RangeLock {
  readonly #holders = new Set<Holder>()

  /** Runs `work` when no work on an overlapping range that came before it is under way. */
  async run<Result>(range: Range, work: () => Promise<Result>): Promise<Result> {
    const earlier = [...this.#holders].filter(holder => overlaps(holder.range, range)).map(({ released }) => released)
    let release = (): void => {}
    const holder: Holder = {
      range,
      released: new Promise(resolve => {
        release = resolve
      }),
    }
    this.#holders.add(holder)
    try {
      await Promise.all(earlier)
      return await work()
    } finally {
      this.#holders.delete(holder)
      release()
    }
  }
}

const overlaps = (one: Range, two: Range): boolean =>
  one.offset < two.offset + two.length && two.offset < one.offset + one.length
