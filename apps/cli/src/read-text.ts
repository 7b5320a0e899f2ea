/** Short texts from a file or standard input. @module */
import { createReadStream } from 'node:fs'
import { GranaryError, fromSystemError } from '@granary/core'
import type { Terminal } from './terminal/terminal.ts'

const MAX_BYTES = 64 * 1024

/**
 * A text of at most 64 KiB.
 *
 * @param path `-` for standard input
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is longer
 */
export const readText = async (path: string, terminal: Terminal): Promise<string> => {
  const source = path === '-' ? terminal.streams.stdin : createReadStream(path)
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of source) {
      pieces.push(Buffer.from(piece as Uint8Array))
      bytes += (piece as Uint8Array).length
      if (bytes > MAX_BYTES) break
    }
  } catch (error) {
    throw fromSystemError(error, `reading ${path}`)
  }
  if (bytes <= MAX_BYTES) return Buffer.concat(pieces).toString('utf8')
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path}: expected a text of at most ${MAX_BYTES} bytes`, {
    detail: { path, expected: MAX_BYTES },
  })
}
