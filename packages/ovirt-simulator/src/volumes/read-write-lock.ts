/** Many readers or one writer, in the order they came. @module */
import { Semaphore } from '@granary/core'

/** Most readers at once; a writer takes all their places. */
const READERS = 1024

export class ReadWriteLock {
  readonly #places = new Semaphore(READERS)

  async shared<Result>(work: () => Promise<Result>): Promise<Result> {
    return await this.#places.run(work)
  }

  async exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    return await this.#places.run(work, { amount: READERS })
  }
}
