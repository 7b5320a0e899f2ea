/** A bound on what is in use at once: calls, or bytes of memory. @module */
import { checkWhole } from '../check-whole.ts'
import { GranaryError } from '../errors.ts'

interface Waiter {
  readonly amount: number
  readonly admit: () => void
}

/** Gives out up to `capacity` units, first come first served: a large request is not overtaken by small ones. */
export class Semaphore {
  readonly capacity: number
  #free: number
  readonly #waiters: Waiter[] = []

  constructor(capacity: number) {
    checkWhole('capacity', capacity)
    this.capacity = capacity
    this.#free = capacity
  }

  /** Units nobody holds now. */
  get free(): number {
    return this.#free
  }

  /**
   * Waits for `amount` units and gives back the function that returns them; calling it again does nothing.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when more than the capacity is asked for; the signal's reason on abort
   */
  async acquire(amount = 1, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<() => void> {
    signal?.throwIfAborted()
    checkWhole('amount', amount, { min: 0 })
    if (amount > this.capacity) {
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${amount} units asked of ${this.capacity}`, {
        detail: { amount, capacity: this.capacity },
      })
    }
    if (this.#waiters.length === 0 && amount <= this.#free) this.#free -= amount
    else await this.#wait(amount, signal)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#free += amount
      this.#admit()
    }
  }

  /** Runs `task` while holding `amount` units. */
  async run<Result>(
    task: () => Promise<Result>,
    { amount = 1, signal }: { amount?: number; signal?: AbortSignal | undefined } = {},
  ): Promise<Result> {
    const release = await this.acquire(amount, { signal })
    try {
      return await task()
    } finally {
      release()
    }
  }

  #wait(amount: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        amount,
        admit: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
      }
      const leave = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
        this.#admit() // The one behind may fit where this one did not.
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiters.push(waiter)
    })
  }

  #admit(): void {
    for (let first = this.#waiters[0]; first !== undefined && first.amount <= this.#free; first = this.#waiters[0]) {
      this.#waiters.shift()
      this.#free -= first.amount
      first.admit()
    }
  }
}
