/**
 * Errors of the SDK. Callers branch on `code`, never on `message` or `instanceof`
 * (two copies of a package in one process would defeat `instanceof`).
 *
 * @module
 */

/** Every code this SDK can raise; docs/exit-codes.md maps them to exit codes. Adding one is a minor release; changing one is a major release. */
export type ErrorCode =
  /** An argument is out of its documented range. */
  | 'GRANARY_INVALID_ARGUMENT'
  /** The caller's `AbortSignal` ended the work. */
  | 'GRANARY_ABORTED'
  /** What was named (a file, a snapshot, a disk, an object) does not exist. */
  | 'GRANARY_NOT_FOUND'
  /** What should be created is there already. */
  | 'GRANARY_EXISTS'
  /** Bytes do not follow the format they claim to follow, or are damaged. */
  | 'GRANARY_CORRUPT'
  /** A tag did not match: the bytes were changed, or the key is another. */
  | 'GRANARY_AUTHENTICATION'
  /** No key, passphrase or password given opens this. */
  | 'GRANARY_WRONG_KEY'
  /** The operating system or the peer denies access. */
  | 'GRANARY_PERMISSION'
  /** The peer broke its protocol. */
  | 'GRANARY_PROTOCOL'
  /** The peer said no. */
  | 'GRANARY_REMOTE'
  /** A documented limit is exceeded. */
  | 'GRANARY_LIMIT'
  /** Valid, but beyond what this version reads, writes or is allowed to open. */
  | 'GRANARY_UNSUPPORTED'
  /** Somebody else holds what we need. */
  | 'GRANARY_LOCKED'
  /** This session was fenced: it lived too long without a sign of life, and may not commit. */
  | 'GRANARY_FENCED'
  /** No space left, or a quota is used up. */
  | 'GRANARY_NO_SPACE'
  /** Reading or writing failed below us (EIO, a vanished mount, a closed pipe). */
  | 'GRANARY_IO'
  /** The target is smaller than the source, or a source changed its size midway. */
  | 'GRANARY_SIZE'
  /** A time limit passed. */
  | 'GRANARY_TIMEOUT'

/** Facts about the failure, for logs and for programs. Values are JSON-safe and never secret. */
export type ErrorDetail = Readonly<Record<string, string | number | boolean>>

/** What an error says beyond its code and message. */
export interface GranaryErrorOptions {
  readonly detail?: ErrorDetail
  readonly cause?: unknown
  /** True when the same call may succeed later, unchanged. @default false */
  readonly retryable?: boolean
  /** What the operator can do next, as one sentence. */
  readonly hint?: string
}

export class GranaryError extends Error {
  override readonly name: string = 'GranaryError'
  readonly code: ErrorCode
  readonly detail: ErrorDetail
  readonly retryable: boolean
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: GranaryErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.detail = options.detail ?? {}
    this.retryable = options.retryable ?? false
    this.hint = options.hint
  }
}

/** True for errors of this SDK, also of another copy of it. */
export const isGranaryError = (error: unknown): error is GranaryError =>
  error instanceof Error && error.name === 'GranaryError' && 'code' in error
