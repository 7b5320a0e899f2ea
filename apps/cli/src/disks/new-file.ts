/** Writes a stream to a new file that is complete or not there. @module */
import { open, unlink } from 'node:fs/promises'
import { fromSystemError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { PARTIAL, giveName } from './partial-file.ts'

/**
 * @returns how many bytes were written
 * @throws GranaryError `GRANARY_EXISTS` when the file, or one that another process is writing under its partial name, is there
 */
export const writeNewFile = async (
  path: string,
  pieces: AsyncIterable<Bytes>,
  { signal }: AbortOptions = {},
): Promise<number> => {
  const partial = `${path}${PARTIAL}`
  const file = await open(partial, 'wx', 0o600).catch((error: unknown) => {
    throw fromSystemError(error, `making ${partial}`, { detail: { path: partial } })
  })
  try {
    let written = 0
    for await (const piece of pieces) {
      signal?.throwIfAborted()
      await file.writeFile(piece)
      written += piece.length
    }
    await file.sync()
    await giveName(partial, path)
    return written
  } catch (error) {
    await unlink(partial).catch(() => undefined)
    throw fromSystemError(error, `writing ${path}`)
  } finally {
    await file.close()
  }
}
