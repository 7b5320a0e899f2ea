/** One listener per signal, however many requests it may abort. @module */

interface Group {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

/**
 * Spreads the abort of a signal. One signal often governs hundreds of requests,
 * and Node warns of a leak when an `AbortSignal` has more than ten listeners.
 */
export class AbortHub {
  readonly #groups = new WeakMap<AbortSignal, Group>()

  /**
   * Calls `callback` when the signal is aborted, until the function that it gives back was called.
   * Nothing is kept for a signal that nobody listens to.
   */
  listen(signal: AbortSignal, callback: () => void): () => void {
    const group = this.#groups.get(signal) ?? this.#open(signal)
    group.callbacks.add(callback)
    return () => {
      if (!group.callbacks.delete(callback) || group.callbacks.size > 0) return
      signal.removeEventListener('abort', group.listener)
      if (this.#groups.get(signal) === group) this.#groups.delete(signal)
    }
  }

  #open(signal: AbortSignal): Group {
    const callbacks = new Set<() => void>()
    const listener = (): void => {
      for (const callback of callbacks) callback()
    }
    const group = { callbacks, listener }
    signal.addEventListener('abort', listener, { once: true })
    this.#groups.set(signal, group)
    return group
  }
}
