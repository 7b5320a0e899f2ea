/** A cache of what is loaded from a file, bounded in bytes. @module */

/** Least recently used entries go first. Two callers that miss at once share one load; a failed load is forgotten. */
export class BoundedCache<Value> {
  readonly #entries = new Map<number, Promise<Value>>()
  readonly #maxEntries: number

  /** @param entryBytes what one value weighs */
  constructor(capacityBytes: number, entryBytes: number) {
    this.#maxEntries = Math.max(1, Math.floor(capacityBytes / entryBytes))
  }

  get(key: number, load: () => Promise<Value>): Promise<Value> {
    const found = this.#entries.get(key)
    if (found !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, found)
      return found
    }
    const loading = load()
    this.#entries.set(key, loading)
    loading.catch(() => {
      if (this.#entries.get(key) === loading) this.#entries.delete(key)
    })
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value as number)
    return loading
  }

  forget(key: number): void {
    this.#entries.delete(key)
  }
}
