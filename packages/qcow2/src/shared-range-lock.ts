/** Readers beside readers, writers alone: for disks whose clusters are read while they are changed. @module */

interface Holder {
  readonly offset: number
  readonly end: number
  readonly isShared: boolean
  readonly released: Promise<void>
}

export interface LockedRange {
  readonly offset: number
  readonly length: number
  /** Beside others that are shared, too. */
  readonly isShared: boolean
}

export class SharedRangeLock {
  readonly #unitBytes: number
  readonly #holders = new Set<Holder>()

  /** @param unitBytes ranges that touch the same unit overlap */
  constructor(unitBytes: number) {
    this.#unitBytes = unitBytes
  }

  /** Runs `work` when nothing that came before it and excludes it is under way. */
  async run<Result>({ offset, length, isShared }: LockedRange, work: () => Promise<Result>): Promise<Result> {
    const start = offset - (offset % this.#unitBytes)
    const end = Math.ceil((offset + length) / this.#unitBytes) * this.#unitBytes
    const earlier = [...this.#holders]
      .filter(other => other.offset < end && start < other.end && !(isShared && other.isShared))
      .map(({ released }) => released)
    let release = (): void => {}
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    const holder: Holder = { offset: start, end, isShared, released }
    this.#holders.add(holder)
    try {
      if (earlier.length > 0) await Promise.all(earlier)
      return await work()
    } finally {
      this.#holders.delete(holder)
      release()
    }
  }
}
