/**
 * The journal: what we make on an engine is written down before we ask for it, so that whatever ends us, the next start knows
 * what is ours and puts it away.
 *
 * @see docs/ovirt-adapter.md, "The journal"
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fromSystemError } from '@granary/core'
import { systemClock } from '@granary/dedup-store'
import type { Clock } from '@granary/dedup-store'
import type { Facts, PendingEntry } from './entry.ts'
import { installationId } from './installation.ts'
import { RunFile, readRunFile } from './run-file.ts'
import { takeRunLock } from './run-lock.ts'
import type { RunLock } from './run-lock.ts'

export interface JournalOptions {
  /** Where journals are kept: one folder an installation. */
  readonly folder: string
  readonly clock?: Clock
  /** Of an administrator's choice: 1..36 letters, digits, dots, dashes, underscores. @default one that is made at the first start */
  readonly installation?: string
}

/** An intent under way. */
export interface JournalEntry {
  readonly pending: PendingEntry
  /** Notes what is known now, such as the id the engine gave. */
  learn(facts: Facts): Promise<void>
  /** It is put away, or meant to stay. */
  end(): Promise<void>
}

/** What another run left behind. Held by us until it is closed. */
export interface AbandonedRun extends AsyncDisposable {
  readonly run: string
  readonly timeMs: number
  /** Oldest first. */
  readonly entries: readonly JournalEntry[]
}

export class Journal implements AsyncDisposable {
  /** 16 hexadecimal digits, or what the administrator chose. */
  readonly installation: string
  /** 16 hexadecimal digits. */
  readonly run: string
  readonly #folder: string
  readonly #clock: Clock
  #open: Promise<{ readonly file: RunFile; readonly lock: RunLock }> | undefined
  readonly #pending = new Map<number, PendingEntry>()
  #next = 0

  private constructor(folder: string, clock: Clock, installation: string) {
    this.#folder = folder
    this.#clock = clock
    this.installation = installation
    this.run = randomBytes(8).toString('hex')
  }

  /** Opens an installation's journal. Nothing is written before the first intent. */
  static async open({ folder, clock = systemClock, ...options }: JournalOptions): Promise<Journal> {
    const installation = options.installation ?? (await installationId(folder))
    await mkdir(join(folder, 'runs'), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw fromSystemError(error, `making ${folder}`)
    })
    return new Journal(folder, clock, installation)
  }

  /** What this run has begun and not ended. */
  get pending(): readonly PendingEntry[] {
    return [...this.#pending.values()]
  }

  /** What any run has begun and not ended, this one's last: living ones and dead ones. */
  async allPending(): Promise<readonly PendingEntry[]> {
    const others: PendingEntry[] = []
    for (const run of await this.#otherRuns()) {
      const state = await readRunFile(this.#pathsOf(run).path).catch(ignoreMissing)
      others.push(...(state?.pending.values() ?? []))
    }
    return [...others, ...this.pending]
  }

  /**
   * Writes down what is about to be made. Durable when it resolves: ask the engine only then.
   *
   * @param kind has its undo in the table that recovery is given
   */
  async begin(kind: string, engine: string, facts: Facts): Promise<JournalEntry> {
    const file = await this.#file()
    const pending = { run: this.run, entry: this.#next++, kind, engine, timeMs: this.#clock.now(), facts }
    const { run: _, ...line } = pending
    await file.append({ type: 'intent', ...line })
    this.#pending.set(pending.entry, pending)
    return entryOf(file, this.#pending, pending.entry)
  }

  /** What runs left behind whose processes are dead, oldest first. Runs that live are left out. */
  async abandoned(): Promise<readonly AbandonedRun[]> {
    const runs: AbandonedRun[] = []
    for (const run of await this.#otherRuns()) {
      const abandoned = await this.#takeOver(run)
      if (abandoned !== undefined) runs.push(abandoned)
    }
    return runs.toSorted((one, other) => one.timeMs - other.timeMs)
  }

  async #otherRuns(): Promise<readonly string[]> {
    const files = (await readdir(join(this.#folder, 'runs'))).filter(file => file.endsWith('.jsonl'))
    return files.map(file => file.slice(0, -'.jsonl'.length)).filter(run => run !== this.run)
  }

  async #takeOver(run: string): Promise<AbandonedRun | undefined> {
    const { path, lockPath } = this.#pathsOf(run)
    const lock = await takeRunLock(lockPath, { isNew: false })
    if (lock === undefined) return undefined
    try {
      const state = await readRunFile(path).catch(ignoreMissing)
      if (state === undefined || state.pending.size === 0) {
        const file = state === undefined ? undefined : await RunFile.reopen(path, state)
        await file?.remove()
        await file?.[Symbol.asyncDispose]()
        await lock.remove()
        await lock[Symbol.asyncDispose]()
        return undefined
      }
      const file = await RunFile.reopen(path, state)
      return {
        run,
        timeMs: state.timeMs,
        entries: [...state.pending.keys()].map(entry => entryOf(file, state.pending, entry)),
        [Symbol.asyncDispose]: async () => await closeRun(file, lock, state.pending.size === 0),
      }
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
  }

  async #file(): Promise<RunFile> {
    this.#open ??= this.#create()
    return (await this.#open).file
  }

  async #create(): Promise<{ file: RunFile; lock: RunLock }> {
    const { path, lockPath } = this.#pathsOf(this.run)
    const lock = await takeRunLock(lockPath, { isNew: true })
    if (lock === undefined) throw new Error(`run ${this.run} has another owner`)
    const { installation, run } = this
    const file = await RunFile.create(path, { type: 'run', installation, run, timeMs: this.#clock.now() })
    return { file, lock }
  }

  #pathsOf(run: string): { path: string; lockPath: string } {
    return { path: join(this.#folder, 'runs', `${run}.jsonl`), lockPath: join(this.#folder, 'runs', `${run}.lock`) }
  }

  /** A run that ended all it began leaves nothing; another stays for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    const open = await this.#open
    this.#open = undefined
    if (open !== undefined) await closeRun(open.file, open.lock, this.#pending.size === 0)
  }
}

const closeRun = async (file: RunFile, lock: RunLock, isEmpty: boolean): Promise<void> => {
  if (isEmpty) {
    await file.remove()
    await lock.remove()
  }
  await file[Symbol.asyncDispose]()
  await lock[Symbol.asyncDispose]()
}

const entryOf = (file: RunFile, all: Map<number, PendingEntry>, entry: number): JournalEntry => ({
  get pending() {
    return all.get(entry) as PendingEntry
  },
  async learn(facts) {
    const known = all.get(entry)
    if (known === undefined) return
    // Known at once: two that learn side by side must not lose each other's facts.
    all.set(entry, { ...known, facts: { ...known.facts, ...facts } })
    await file.append({ type: 'fact', entry, facts })
  },
  async end() {
    if (!all.has(entry)) return
    await file.append({ type: 'done', entry })
    all.delete(entry)
    await file.compact(all)
  },
})

const ignoreMissing = (error: unknown): undefined => {
  if ((error as { code?: string }).code === 'GRANARY_NOT_FOUND') return undefined
  throw error
}
