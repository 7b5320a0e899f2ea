/** Where a command writes: text for people, or one JSON object a line for programs; warnings and errors on standard error. @module */
import type { Readable, Writable } from 'node:stream'
import { isGranaryError } from '@granary/core'
import type { ErrorCode, GranaryError } from '@granary/core'
import { displayName } from './display-name.ts'

/** The streams and settings of a process, handed in so that tests own them. */
export interface TerminalStreams {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Version of the JSON lines: it grows only when a field changes its meaning, which is not planned. */
const JSON_VERSION = 1

export class Terminal {
  readonly streams: TerminalStreams
  readonly isJson: boolean
  readonly showsProgress: boolean
  #warnings = 0
  readonly #said = new Set<string>()

  constructor(streams: TerminalStreams, { isJson, showsProgress }: { isJson: boolean; showsProgress: boolean }) {
    this.streams = streams
    this.isJson = isJson
    this.showsProgress = showsProgress && streams.stderr.isTTY === true && !isJson
  }

  /** How many warnings there were: with any, a command that worked ends with exit code 3. */
  get warnings(): number {
    return this.#warnings
  }

  /** A line for people; programs don't see it. */
  say(text: string): void {
    if (!this.isJson) this.streams.stdout.write(`${text}\n`)
  }

  /** An object for programs; people don't see it. */
  emit(value: object): void {
    if (this.isJson) this.streams.stdout.write(`${JSON.stringify(value)}\n`)
  }

  /** Something that went not as wished; the work goes on, and ends with exit code 3. */
  warn(message: string, detail: object = {}): void {
    this.#warnings++
    this.notice(message, detail)
  }

  /** As `warn`, and nothing when the same was said before. */
  warnOnce(message: string): void {
    if (this.#said.has(message)) return
    this.#said.add(message)
    this.warn(message)
  }

  /** Something one should know; it does not change the exit code. */
  notice(message: string, detail: object = {}): void {
    const text = this.isJson
      ? JSON.stringify({ type: 'warning', v: JSON_VERSION, message, ...detail })
      : `warning: ${displayName(message)}`
    this.streams.stderr.write(`${text}\n`)
  }

  /** The error a command ends with. */
  fail(error: unknown): void {
    if (this.isJson) {
      this.streams.stderr.write(`${JSON.stringify({ type: 'error', v: JSON_VERSION, ...describe(error) })}\n`)
      return
    }
    const { code, message, hint } = describe(error)
    this.streams.stderr.write(`granary: ${displayName(message)}${code === undefined ? '' : ` (${code})`}\n`)
    if (hint !== undefined) this.streams.stderr.write(`  ${hint}\n`)
  }
}

/** What usually helps, where the error itself knows nothing better. */
const USUAL_HINTS: Partial<Record<ErrorCode, string>> = {
  GRANARY_CORRUPT:
    'what is damaged in a repository, and which snapshots that touches, `granary check --read-data` shows',
  GRANARY_AUTHENTICATION:
    'something was changed since it was written: `granary check --read-data` shows what, and which snapshots it touches',
  GRANARY_IO: 'check that the storage and the network are there and healthy, then run it again',
  GRANARY_SIZE: 'check the size of source and target',
  GRANARY_LOCKED: 'wait for whoever uses it to end, then run it again',
  GRANARY_PERMISSION: 'check owner and mode of the file and of the folders above it',
  GRANARY_NOT_FOUND: 'check the name',
}

const describe = (
  error: unknown,
): { code?: string; message: string; hint?: string; detail?: GranaryError['detail']; retryable?: boolean } => {
  if (!isGranaryError(error)) return { message: error instanceof Error ? error.message : String(error) }
  const { code, message, hint = USUAL_HINTS[error.code], detail, retryable } = error
  return { code, message, ...(hint === undefined ? {} : { hint }), detail, retryable }
}
