/** Errors of the operating system, as ours. @module */
import { GranaryError } from '@granary/core'
import type { ErrorCode } from '@granary/core'

interface Meaning {
  readonly code: ErrorCode
  readonly reason: string
  readonly hint?: string
}

const CANNOT_SAY: Meaning = { code: 'GRANARY_IO', reason: 'reading or writing failed' }
const LOST: Meaning = {
  code: 'GRANARY_IO',
  reason: 'the storage is gone or failing',
  hint: 'Check that the storage is mounted and healthy (dmesg), then run the command again.',
}
const FULL: Meaning = {
  code: 'GRANARY_NO_SPACE',
  reason: 'no space left',
  hint: 'Free some space there (`granary forget` and `granary gc` do), then run the command again.',
}
const DENIED: Meaning = {
  code: 'GRANARY_PERMISSION',
  reason: 'permission denied',
  hint: 'Check owner and mode of that folder, and that you run as the right user.',
}

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: FULL,
  EDQUOT: { ...FULL, reason: 'the disk quota is used up' },
  EACCES: DENIED,
  EPERM: { ...DENIED, reason: 'operation not permitted' },
  EROFS: { code: 'GRANARY_PERMISSION', reason: 'the file system is read-only', hint: 'Mount it writable.' },
  ENOENT: { code: 'GRANARY_NOT_FOUND', reason: 'no such file or folder' },
  ENOTDIR: { code: 'GRANARY_NOT_FOUND', reason: 'a part of the path is not a folder' },
  EEXIST: { code: 'GRANARY_EXISTS', reason: 'it exists already' },
  EIO: LOST,
  ENODEV: LOST,
  ENXIO: LOST,
  ESTALE: LOST,
  EREMOTEIO: LOST,
  ETIMEDOUT: LOST,
  ENOTCONN: LOST,
  EBUSY: { code: 'GRANARY_LOCKED', reason: 'it is in use' },
  EFBIG: { code: 'GRANARY_LIMIT', reason: 'the file system does not take files of this size' },
  EMFILE: { code: 'GRANARY_LIMIT', reason: 'too many open files', hint: 'Raise `ulimit -n`.' },
  ENFILE: { code: 'GRANARY_LIMIT', reason: 'too many open files on this machine' },
  ENAMETOOLONG: { code: 'GRANARY_INVALID_ARGUMENT', reason: 'the path is too long' },
  ENOSYS: { code: 'GRANARY_UNSUPPORTED', reason: 'the file system cannot do this' },
  ENOTSUP: { code: 'GRANARY_UNSUPPORTED', reason: 'the file system cannot do this' },
  EOPNOTSUPP: { code: 'GRANARY_UNSUPPORTED', reason: 'the file system cannot do this' },
}

/** The system's own name of an error ('ENOENT'), or undefined. */
export const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E(?!RR_)[A-Z0-9_]+$/.test(error.code)
    ? error.code
    : undefined

/**
 * What a failure of the file system means in our terms: what was being done, why it failed and what helps. Anything else (a GranaryError,
 * the reason of an abort, an error of a source, a bug) comes back as it is.
 */
export const systemError = (error: unknown, what: string): unknown => {
  const system = systemCode(error)
  if (system === undefined) return error
  const { code, reason, hint } = MEANINGS[system] ?? CANNOT_SAY
  return new GranaryError(code, `${what}: ${reason} (${system})`, {
    cause: error,
    detail: { system },
    ...(hint === undefined ? {} : { hint }),
  })
}
