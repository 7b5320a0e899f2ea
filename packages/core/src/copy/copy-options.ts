/** Options that copies have in common. @module */
import { GranaryError } from '../errors.ts'
import type { OnProgress } from '../progress/progress.ts'

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined
  /** Called at most ten times a second, and at the end. */
  readonly onProgress?: OnProgress | undefined
  /** Pieces in flight. @default 4 */
  readonly concurrency?: number
  /**
   * Longest piece, bytes: a multiple of 4096, at most 64 MiB. Memory is `concurrency` times this, twice that with
   * `differencesOnly`. @default 1 MiB
   */
  readonly bufferBytes?: number
  /** Read the target, and write only what differs. @default false */
  readonly differencesOnly?: boolean
}

export const DEFAULT_BUFFER_BYTES = 1024 ** 2
const MAX_BUFFER_BYTES = 64 * 1024 ** 2

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const checkBufferBytes = (bufferBytes: number): void => {
  if (bufferBytes > 0 && bufferBytes % 4096 === 0 && bufferBytes <= MAX_BUFFER_BYTES) return
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `bufferBytes ${bufferBytes}: expected a multiple of 4096, at most ${MAX_BUFFER_BYTES}`,
    { detail: { bufferBytes } },
  )
}
