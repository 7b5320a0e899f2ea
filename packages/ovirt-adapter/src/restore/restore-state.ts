/**
 * How far a restore has come, as the journal knows it: one entry, whose facts say what is about to be made and what was made.
 * With it a restore goes on after any break, and is undone without touching what isn't its own.
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import { factOf, factsOf } from '../journal/entry.ts'
import type { Facts, PendingEntry } from '../journal/entry.ts'
import type { JournalEntry } from '../journal/journal.ts'
import { diskFacts, readDiskState } from './disk-state.ts'
import type { DiskState } from './disk-state.ts'
import type { RestorePlan } from './plan.ts'

export const RESTORE_KIND = 'restore'

export class RestoreState {
  readonly plan: RestorePlan
  readonly #entry: JournalEntry

  constructor(entry: JournalEntry) {
    this.#entry = entry
    this.plan = planOf(entry.pending)
  }

  /** What `--resume` takes. */
  get id(): string {
    return factOf(this.#entry.pending, 'restore') ?? this.#entry.pending.run
  }

  /** Stands in the descriptions of what is being made. */
  get mark(): string {
    return factOf(this.#entry.pending, 'mark') ?? ''
  }

  get vmId(): string | undefined {
    return factOf(this.#entry.pending, 'vm')
  }

  /** The name it is (about to be) made under. */
  get vmName(): string | undefined {
    return factOf(this.#entry.pending, 'vmName')
  }

  /** NICs that were left out, by name. */
  get skippedNics(): readonly string[] {
    return factsOf(this.#entry.pending, 'skippedNics')
  }

  /** Found on the way: what the report lists beside the plan's own. */
  get warnings(): readonly string[] {
    return factsOf(this.#entry.pending, 'warnings')
  }

  get notRestored(): readonly string[] {
    return factsOf(this.#entry.pending, 'notRestored')
  }

  /** From the first byte on a restore is resumed, not rolled back. */
  get hasData(): boolean {
    return this.#entry.pending.facts['hasData'] === true
  }

  disk(index: number): DiskState {
    return readDiskState(this.#entry.pending, index)
  }

  async learn(facts: Facts): Promise<void> {
    await this.#entry.learn(facts)
  }

  async learnDisk(index: number, facts: Facts): Promise<void> {
    await this.learn(diskFacts(index, facts))
  }

  async warn(message: string): Promise<void> {
    if (!this.warnings.includes(message)) await this.learn({ warnings: [...this.warnings, message] })
  }

  async leaveOut(what: string): Promise<void> {
    if (!this.notRestored.includes(what)) await this.learn({ notRestored: [...this.notRestored, what] })
  }

  /** It is finished, or put away. */
  async end(): Promise<void> {
    await this.#entry.end()
  }
}

/** @throws GranaryError `GRANARY_CORRUPT` when the entry holds no plan */
const planOf = (pending: PendingEntry): RestorePlan => {
  try {
    const plan = JSON.parse(factOf(pending, 'plan') ?? '') as Partial<RestorePlan>
    if (Array.isArray(plan.disks) && Array.isArray(plan.nics) && typeof plan.machine === 'object')
      return plan as RestorePlan
  } catch {
    // Told below.
  }
  throw new GranaryError('GRANARY_CORRUPT', `restore ${pending.run}: its journal holds no plan`, {
    detail: { run: pending.run },
  })
}
