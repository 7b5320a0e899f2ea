/** What was found wrong without ending the work. @module */
import { isGranaryError } from '@granary/core'

/** A finding that a listing must show beside itself. */
export interface Warning {
  /** The place, as in "inode 12" or "superblock". */
  readonly where: string
  readonly message: string
}

/** Warnings kept of one tree or one set of volumes: more are only counted. */
const MAX_KEPT = 1000

/** A bounded list: the first thousand findings and the number of all. The same finding twice is kept once. */
export class WarningLog {
  readonly #kept = new Map<string, Warning>()
  #count = 0

  add(where: string, message: string): void {
    const key = `${where}\n${message}`
    if (this.#kept.has(key)) return
    this.#count++
    if (this.#kept.size < MAX_KEPT) this.#kept.set(key, { where, message })
  }

  /** Adds what an error says. */
  addError(where: string, error: unknown): void {
    this.add(where, isGranaryError(error) ? `${error.code}: ${error.message}` : String(error))
  }

  list(): readonly Warning[] {
    const more = this.#count - this.#kept.size
    if (more === 0) return [...this.#kept.values()]
    return [...this.#kept.values(), { where: 'warnings', message: `${more} more were found` }]
  }
}
