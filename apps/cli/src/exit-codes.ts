/** Exit codes by error code; docs/exit-codes.md is the same table for people. @module */
import type { ErrorCode } from '@granary/core'

export const EXIT_OK = 0
export const EXIT_FAILED = 1
export const EXIT_WARNINGS = 3
export const EXIT_INTERRUPTED = 130

/** 2 usage; 10-19 repository; 20-29 source, target and system; 30-39 integrity. An unknown code means failure. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  GRANARY_INVALID_ARGUMENT: 2,
  GRANARY_NOT_FOUND: 10,
  GRANARY_EXISTS: 11,
  GRANARY_LOCKED: 12,
  GRANARY_WRONG_KEY: 13,
  GRANARY_FENCED: 14,
  GRANARY_UNSUPPORTED: 15,
  GRANARY_LIMIT: 16,
  GRANARY_NO_SPACE: 20,
  GRANARY_PERMISSION: 21,
  GRANARY_IO: 22,
  GRANARY_SIZE: 23,
  GRANARY_REMOTE: 24,
  GRANARY_PROTOCOL: 25,
  GRANARY_TIMEOUT: 26,
  GRANARY_CORRUPT: 30,
  GRANARY_AUTHENTICATION: 31,
  GRANARY_ABORTED: EXIT_INTERRUPTED,
}
