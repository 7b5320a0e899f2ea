/**
 * The file of one run: lines of JSON, appended and flushed before what they announce is done.
 *
 * @see docs/formats/ovirt-journal.md
 * @module
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GranaryError, fromSystemError } from '@granary/core'
import type { JournalLine, PendingEntry } from './entry.ts'

/** Far more than a run of a thousand machines writes before it is compacted. */
const MOST_BYTES = 64 * 1024 * 1024

/** Rewritten when this many lines are of no use any more. */
const MOST_DEAD_LINES = 2000

/** What a file says: who wrote it, and what is not ended. */
export interface RunState {
  readonly installation: string
  readonly run: string
  readonly timeMs: number
  readonly pending: Map<number, PendingEntry>
  readonly lines: number
  readonly nextEntry: number
}

/**
 * Reads a file. A line that is cut off at the end was being written when its process died: what it announces was not begun.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when another line is damaged; `GRANARY_LIMIT` when it is too large
 */
export const readRunFile = async (path: string): Promise<RunState | undefined> => {
  const text = await readBounded(path)
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const lines = whole === '' ? [] : whole.slice(0, -1).split('\n')
  const [first, ...rest] = lines.map((line, i) => parseLine(line, { path, line: i + 1 }))
  if (first === undefined) return undefined // Its process died before it had written its name.
  if (first.type !== 'run') throw damaged({ path, line: 1 })
  const pending = new Map<number, PendingEntry>()
  let nextEntry = 0
  for (const line of rest) {
    if (line.type === 'run') throw damaged({ path, line: 1 })
    nextEntry = Math.max(nextEntry, line.entry + 1)
    applyLine(pending, line, first.run)
  }
  return {
    installation: first.installation,
    run: first.run,
    timeMs: first.timeMs,
    pending,
    lines: lines.length,
    nextEntry,
  }
}

const applyLine = (
  pending: Map<number, PendingEntry>,
  line: Exclude<JournalLine, { type: 'run' }>,
  run: string,
): void => {
  if (line.type === 'done') pending.delete(line.entry)
  else if (line.type === 'intent') {
    const { entry, kind, engine, timeMs, facts } = line
    pending.set(entry, { run, entry, kind, engine, timeMs, facts })
  } else {
    const known = pending.get(line.entry)
    if (known !== undefined) pending.set(line.entry, { ...known, facts: { ...known.facts, ...line.facts } })
  }
}

const readBounded = async (path: string): Promise<string> => {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw fromSystemError(error, `reading ${path}`)
  })
  if (bytes.length <= MOST_BYTES) return bytes.toString('utf8')
  throw new GranaryError('GRANARY_LIMIT', `${path}: expected a journal of at most ${MOST_BYTES} bytes`, {
    detail: { path, sizeBytes: bytes.length },
  })
}

const parseLine = (text: string, where: { path: string; line: number }): JournalLine => {
  try {
    const line = JSON.parse(text) as JournalLine
    if (isLine(line)) return line
  } catch {
    // Falls through to the same error.
  }
  throw damaged(where)
}

const isLine = (line: JournalLine): boolean => {
  if (typeof line !== 'object' || line === null) return false
  if (line.type === 'run') return typeof line.run === 'string' && typeof line.installation === 'string'
  if (!['intent', 'fact', 'done'].includes(line.type) || !Number.isSafeInteger(line.entry)) return false
  return line.type === 'done' || (typeof line.facts === 'object' && line.facts !== null)
}

const damaged = ({ path, line }: { path: string; line: number }): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `${path}: line ${line} is no line of a journal`, {
    detail: { path, line },
    hint: 'see what `granary ovirt clean` lists, put away by hand what is left on the engine, then remove this file',
  })

/** Writes lines that are durable when `append` resolves. */
export class RunFile implements AsyncDisposable {
  readonly path: string
  readonly #header: JournalLine
  #handle: FileHandle
  #lines: number
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, header: JournalLine, handle: FileHandle, lines: number) {
    this.path = path
    this.#header = header
    this.#handle = handle
    this.#lines = lines
  }

  /** Makes the file of a new run; there must be none of that name. */
  static async create(path: string, header: Extract<JournalLine, { type: 'run' }>): Promise<RunFile> {
    const file = new RunFile(path, header, await open(path, 'ax', 0o600), 0)
    await file.append(header)
    await syncFolder(path)
    return file
  }

  /** Goes on in a file whose process died: a line cut off at its end is cut away first. */
  static async reopen(path: string, { installation, run, timeMs, lines }: RunState): Promise<RunFile> {
    const text = await readBounded(path)
    const handle = await open(path, 'a', 0o600)
    await handle.truncate(Buffer.byteLength(text.slice(0, text.lastIndexOf('\n') + 1)))
    return new RunFile(path, { type: 'run', installation, run, timeMs }, handle, lines)
  }

  async append(line: JournalLine): Promise<void> {
    await this.#afterOthers(async () => {
      await this.#handle.appendFile(`${JSON.stringify(line)}\n`)
      await this.#handle.datasync()
      this.#lines++
    })
  }

  /** Writes the file anew when most of it is about what has ended. */
  async compact(pending: ReadonlyMap<number, PendingEntry>): Promise<void> {
    if (this.#lines - pending.size < MOST_DEAD_LINES) return
    await this.#afterOthers(async () => {
      const lines: JournalLine[] = [this.#header]
      for (const { entry, kind, engine, timeMs, facts } of pending.values())
        lines.push({ type: 'intent', entry, kind, engine, timeMs, facts })
      const temporary = `${this.path}.new`
      const handle = await open(temporary, 'w', 0o600)
      await handle.writeFile(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
      await handle.sync()
      await rename(temporary, this.path)
      await syncFolder(this.path)
      await this.#handle.close()
      await handle.close()
      this.#handle = await open(this.path, 'a', 0o600)
      this.#lines = lines.length
    })
  }

  /** Takes the file away: nothing of its run is left. */
  async remove(): Promise<void> {
    await this.#afterOthers(async () => {
      await rm(this.path, { force: true })
      await rm(`${this.path}.new`, { force: true })
      await syncFolder(this.path)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#afterOthers(async () => await this.#handle.close())
  }

  /** Writers of one file take turns. */
  async #afterOthers(work: () => Promise<void>): Promise<void> {
    const turn = this.#writing.then(work)
    this.#writing = turn.catch(() => undefined)
    try {
      await turn
    } catch (error) {
      throw fromSystemError(error, `writing ${this.path}`)
    }
  }
}

const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
