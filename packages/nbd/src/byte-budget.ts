/** A bound on bytes that are under way. @module */
import { AbortHub } from './abort-hub.ts'

interface Waiter {
  readonly bytes: number
  readonly admit: () => void
}

export interface ByteBudgetOptions {
  /** Tells of aborts. */
  readonly hub?: AbortHub
  /** Those who wait are admitted together once so many bytes are free, at most the capacity. @default 0 (as soon as they fit) */
  readonly refillBytes?: number
}

/**
 * Hands out bytes up to a capacity, first come first served, so that a large request is never starved by small ones.
 * A single request above the capacity is admitted alone.
 */
export class ByteBudget {
  readonly capacityBytes: number
  #usedBytes = 0
  readonly #waiters: Waiter[] = []
  readonly #hub: AbortHub
  readonly #refillBytes: number

  constructor(capacityBytes: number, { hub = new AbortHub(), refillBytes = 0 }: ByteBudgetOptions = {}) {
    this.capacityBytes = capacityBytes
    this.#hub = hub
    this.#refillBytes = refillBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Takes the bytes if they are free and nobody waits. */
  tryAcquire(bytes: number): boolean {
    if (this.#waiters.length > 0 || !this.#fits(bytes)) return false
    this.#usedBytes += bytes
    return true
  }

  /** Resolves when the bytes are taken. @throws the signal's reason when it is aborted before that */
  async acquire(bytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.tryAcquire(bytes)) return
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        admit: () => {
          ignoreAbort?.()
          this.#usedBytes += bytes
          resolve()
        },
      }
      const onAbort = (): void => {
        ignoreAbort?.()
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
        this.#admit()
        reject(signal?.reason as Error)
      }
      const ignoreAbort = signal && this.#hub.listen(signal, onAbort)
      this.#waiters.push(waiter)
    })
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes
    if (this.capacityBytes - this.#usedBytes >= this.#refillBytes) this.#admit()
  }

  #admit(): void {
    for (let next = this.#waiters[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiters[0]) {
      this.#waiters.shift()
      next.admit()
    }
  }

  #fits(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.capacityBytes
  }
}
