/**
 * Reads a list of extents as it comes. A fragmented disk of many TiB has a list of hundreds of megabytes: it is neither kept
 * as text nor parsed in one go.
 *
 * @module
 */
import { StringDecoder } from 'node:string_decoder'
import { protocolError } from './image-errors.ts'
import type { BodySink } from './image-request.ts'

/** One row as the server writes it. CONTRACT §6.5 */
export interface ExtentRow {
  readonly start: number
  readonly length: number
  readonly zero: boolean | undefined
  readonly hole: boolean
  readonly dirty: boolean | undefined
}

/** Longest text of one row. */
const MAX_ROW_LENGTH = 1024

/** Hands each row to `onRow`; `end` must be called behind the last chunk. */
export class ExtentParser implements BodySink {
  readonly #onRow: (row: ExtentRow) => void
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''
  #state: 'start' | 'row' | 'separator' | 'end' = 'start'

  constructor(onRow: (row: ExtentRow) => void) {
    this.#onRow = onRow
  }

  write(chunk: Uint8Array): void {
    const text = this.#rest + this.#decoder.write(chunk as Buffer)
    let at = 0
    for (;;) {
      const next = this.#step(text, at)
      if (next < 0) break
      at = next
    }
    this.#rest = text.slice(at)
    if (this.#rest.length > MAX_ROW_LENGTH) throw malformed(this.#rest)
  }

  /** @throws GranaryError `GRANARY_PROTOCOL` when the list is cut */
  end(): void {
    if (this.#state !== 'end' || this.#rest.trim() !== '') throw malformed(this.#rest)
  }

  /** @returns where to go on; -1 when more text is needed */
  #step(text: string, from: number): number {
    let at = from
    while (at < text.length && isSpace(text.charCodeAt(at))) at++
    if (at === text.length) return -1
    if (this.#state === 'row') return this.#row(text, at)
    const char = text[at]
    if (this.#state === 'start' && char === '[') this.#state = 'row'
    else if (this.#state === 'separator' && char === ',') this.#state = 'row'
    else if (this.#state === 'separator' && char === ']') this.#state = 'end'
    else throw malformed(text.slice(at))
    return at + 1
  }

  #row(text: string, at: number): number {
    if (text[at] !== '{') throw malformed(text.slice(at))
    const end = text.indexOf('}', at)
    if (end < 0) return -1
    if (end - at > MAX_ROW_LENGTH) throw malformed(text.slice(at))
    this.#onRow(parseRow(text.slice(at, end + 1)))
    this.#state = 'separator'
    return end + 1
  }
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

const parseRow = (text: string): ExtentRow => {
  let row: Readonly<Record<string, unknown>>
  try {
    row = JSON.parse(text) as Record<string, unknown>
  } catch {
    throw malformed(text)
  }
  const { start, length, zero, hole, dirty } = row
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length) || !isFlag(zero) || !isFlag(hole) || !isFlag(dirty))
    throw malformed(text)
  return { start: start as number, length: length as number, zero, hole: hole ?? false, dirty }
}

const isFlag = (value: unknown): value is boolean | undefined => value === undefined || typeof value === 'boolean'

const malformed = (text: string): Error =>
  protocolError('extents are no list of rows with start and length', { found: text.slice(0, 60) })
