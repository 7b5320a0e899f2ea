/**
 * A key on paper: four numbered lines of 8 bytes, each with a checksum, and one checksum of all. A mistyped digit, a line left
 * out and lines in another order are found, and named, before a wrong key is tried on anything.
 *
 * @see docs/formats/keys.md, "Printed keys"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { blake3 } from '../hash/blake3.ts'
import { KEY_FILE_BYTES } from './key-file.ts'

const LINE_BYTES = 8
const LINES = KEY_FILE_BYTES / LINE_BYTES

/** A page with a comment on every line is still short; whatever is longer is no page. */
const MAX_PAGE_LENGTH = 16_384

/** The lines of the page: `1  00112233 44556677  a1b2`, four of them, then `all  c3d4e5f6`. */
export const formatKeyPage = (key: Bytes): string[] => {
  checkLength('key', key, KEY_FILE_BYTES)
  const lines = Array.from({ length: LINES }, (_, i) => {
    const hex = Buffer.from(key.subarray(i * LINE_BYTES, (i + 1) * LINE_BYTES)).toString('hex')
    return `${i + 1}  ${hex.slice(0, 8)} ${hex.slice(8)}  ${lineChecksum(i + 1, hex)}`
  })
  return [...lines, `all  ${pageChecksum(key)}`]
}

/**
 * The key that a page shows, or that 64 hexadecimal digits are. Spaces, upper case, blank lines and lines that begin with `#` don't matter.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when a line is missing, twice or mistyped: `detail.line` is its number
 */
export const parseKeyPage = (page: string): Bytes => {
  if (page.length > MAX_PAGE_LENGTH) throw bad('page', `${page.length} characters: this is no printed key`)
  const lines = page
    .split(/\r?\n/)
    .map(line => line.replaceAll(/\s+/g, '').toLowerCase())
    .filter(line => line !== '' && !line.startsWith('#'))
  const [only = ''] = lines
  if (lines.length === 1 && /^[0-9a-f]{64}$/.test(only)) return bytesOf(only)
  const parts = new Map<number, string>()
  let whole: string | undefined
  for (const line of lines) {
    if (line.startsWith('all')) {
      if (whole !== undefined) throw bad('all', 'it is there twice')
      whole = line.slice('all'.length)
      continue
    }
    const number = Number(line.slice(0, 1))
    if (!(number >= 1 && number <= LINES))
      throw bad('of no number', `expected lines 1 to ${LINES}, and one that begins with "all"`)
    if (parts.has(number)) throw bad(number, 'it is there twice')
    parts.set(number, parseLine(number, line.slice(1)))
  }
  for (let number = 1; number <= LINES; number++) if (!parts.has(number)) throw bad(number, 'it is missing')
  if (whole === undefined) throw bad('all', 'it is missing')
  const key = bytesOf(Array.from({ length: LINES }, (_, i) => parts.get(i + 1) as string).join(''))
  if (whole !== pageChecksum(key)) throw bad('all', 'it does not fit the lines above: one of them is of another key')
  return key
}

const parseLine = (number: number, digits: string): string => {
  const match = /^([0-9a-f]{16})([0-9a-f]{4})$/.exec(digits)
  if (match === null)
    throw bad(number, `expected 16 digits of the key and 4 of its checksum, found ${digits.length} characters`)
  const [, hex = '', checksum] = match
  if (checksum !== lineChecksum(number, hex))
    throw bad(number, 'its checksum does not fit: a digit is wrong, or the line belongs elsewhere')
  return hex
}

/** The line's number goes in, so that lines that changed places are found. */
const lineChecksum = (number: number, hex: string): string =>
  checksum(Buffer.concat([Buffer.from([number]), bytesOf(hex)]), 2)

const pageChecksum = (key: Bytes): string => checksum(key, 4)

const checksum = (bytes: Bytes, length: number): string =>
  Buffer.from(blake3(bytes).subarray(0, length)).toString('hex')

const bytesOf = (hex: string): Bytes => new Uint8Array(Buffer.from(hex, 'hex'))

/** No digit of the line goes into the message: it may be logged. */
const bad = (line: number | string, what: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `printed key, line ${line}: ${what}`, {
    detail: { line },
    hint: 'compare that line with the paper, digit by digit',
  })
