/** What came of an extraction. @module */
import type { AbortOptions } from '@granary/core'
import { GranaryError, fromSystemError } from '@granary/core'

export interface ExtractReport {
  files: number
  folders: number
  symlinks: number
  /** Further names of files that were extracted already. */
  hardLinks: number
  /** Devices and FIFOs that were made. */
  others: number
  /** Of content, holes left out. */
  bytes: number
  /** Files that could not be extracted: each was told of by `onError`. */
  failed: number
  /** Sockets, which only the program that listens can make, named streams of NTFS, and attributes a target has no place for. */
  leftOut: number
  /** Files whose owner, mode, attributes or device could not be set: what they should be is in `.granary-owners.jsonl`. */
  kept: number
}

export interface ExtractOptions extends AbortOptions {
  /** Each file that could not be extracted, with the reason; the others go on. */
  readonly onError?: (path: string, error: unknown) => void
  readonly onProgress?: (progress: {
    readonly path: string
    readonly doneBytes: number
    readonly files: number
  }) => void
}

export const emptyReport = (): ExtractReport => ({
  ...{ files: 0, folders: 0, symlinks: 0, hardLinks: 0, others: 0 },
  ...{ bytes: 0, failed: 0, leftOut: 0, kept: 0 },
})

/** Of the target: with one of these the next file will fail as well. */
const FATAL = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'EPIPE', 'EBADF']

/** Runs what touches the target, so that its failures are told from those of the guest. */
export const onTarget = async <Result>(what: string, run: () => Promise<Result> | Result): Promise<Result> => {
  try {
    return await run()
  } catch (error) {
    throw fromSystemError(error, what, { detail: { side: 'target' } })
  }
}

/** Whether an error ends the whole extraction. */
export const isFatal = (error: unknown): boolean =>
  !(error instanceof GranaryError) ||
  (error.detail['side'] === 'target' && FATAL.includes(String(error.detail['errno'])))
