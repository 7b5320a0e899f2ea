/** The one place that knows what the operating system's error numbers mean to us. @module */
import type { ErrorCode, GranaryErrorOptions } from './errors.ts'
import { GranaryError } from './errors.ts'

interface Meaning {
  readonly code: ErrorCode
  readonly text: string
  readonly retryable?: boolean
  readonly hint?: string
}

const notFound = { code: 'GRANARY_NOT_FOUND', text: 'there is no such file', hint: 'Check the path.' } as const
const denied = {
  code: 'GRANARY_PERMISSION',
  text: 'permission denied',
  hint: 'Check the owner and mode of the file and of the folders above it.',
} as const
const full = { code: 'GRANARY_NO_SPACE', text: 'no space left', hint: 'Free some space, then run it again.' } as const
const busy = {
  code: 'GRANARY_LOCKED',
  text: 'it is in use',
  retryable: true,
  hint: 'Unmount it, or stop what uses it.',
} as const
const exhausted = { code: 'GRANARY_LIMIT', text: 'the system ran out of it', retryable: true } as const
const badPath = { code: 'GRANARY_INVALID_ARGUMENT', text: 'the path cannot be used' } as const
const io = { code: 'GRANARY_IO', text: 'input or output failed' } as const
const peerGone = { code: 'GRANARY_IO', text: 'the other end closed it', retryable: true } as const

/** By the name of the error number. What is not listed is `GRANARY_IO`. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: notFound,
  ENOTDIR: notFound,
  EEXIST: {
    code: 'GRANARY_EXISTS',
    text: 'it exists already',
    hint: 'Choose another path, or ask for it to be overwritten.',
  },
  EACCES: denied,
  EPERM: denied,
  EROFS: { code: 'GRANARY_PERMISSION', text: 'the file system is read-only' },
  ENOSPC: full,
  EDQUOT: { ...full, text: 'the disk quota is used up' },
  EFBIG: { code: 'GRANARY_LIMIT', text: 'the file system does not take files of this size' },
  EBUSY: busy,
  ETXTBSY: busy,
  EMFILE: { ...exhausted, text: 'too many files are open' },
  ENFILE: { ...exhausted, text: 'too many files are open in the system' },
  ENOMEM: { ...exhausted, text: 'memory ran out' },
  ELOOP: { ...badPath, text: 'too many symbolic links' },
  ENAMETOOLONG: { ...badPath, text: 'the name is too long' },
  EISDIR: { ...badPath, text: 'it is a folder' },
  EBADF: { ...badPath, text: 'it is closed, or not open for this' },
  EPIPE: { ...peerGone, retryable: false },
  ECONNRESET: peerGone,
  ECONNREFUSED: { ...peerGone, text: 'the connection was refused' },
  ETIMEDOUT: { code: 'GRANARY_TIMEOUT', text: 'it took too long', retryable: true },
}

/**
 * What a failure of `node:fs`, a socket or a native call means in our terms. Gives back what is no system error
 * (a `GranaryError`, the reason of an abort, a bug) as it came, so that a `catch` can always `throw fromSystemError(…)`.
 *
 * @param what what was being done to what, as the start of a sentence: `writing disk.raw at 4096`
 * @param options `detail` is added to; `hint` replaces the usual one
 */
export const fromSystemError = (
  error: unknown,
  what: string,
  options: Omit<GranaryErrorOptions, 'cause'> = {},
): unknown => {
  const name = systemErrorName(error)
  if (name === undefined) return error
  const { code, text, retryable = false, hint }: Meaning = MEANINGS[name] ?? io
  const advice = options.hint ?? hint
  return new GranaryError(code, `${what}: ${text} (${name})`, {
    detail: { ...options.detail, errno: name },
    cause: error,
    retryable: options.retryable ?? retryable,
    ...(advice === undefined ? {} : { hint: advice }),
  })
}

/** `ENOENT` and its like; undefined for Node's own codes (`ERR_…`) and for errors of ours. */
const systemErrorName = (error: unknown): string | undefined => {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return undefined
  return /^E(?!RR_)[A-Z0-9_]+$/.test(error.code) ? error.code : undefined
}
