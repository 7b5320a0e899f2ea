/** The errors of this package: each names the place, what was expected there and what was found. @module */
import { GranaryError } from '@granary/core'

/** `where` as in "superblock" or "inode 12, extent node at block 77". */
export const corrupt = (where: string, expected: string, found: string | number | bigint): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `${where}: expected ${expected}, found ${found}`, {
    detail: { where, expected, found: String(found) },
  })

/** Valid, but not read by this version. */
export const unsupported = (where: string, what: string, hint?: string): GranaryError =>
  new GranaryError('GRANARY_UNSUPPORTED', `${where}: ${what}`, {
    detail: { where, what },
    ...(hint === undefined ? {} : { hint }),
  })

/** Over a documented limit. */
export const overLimit = (where: string, limit: string, found: string | number | bigint): GranaryError =>
  new GranaryError('GRANARY_LIMIT', `${where}: expected at most ${limit}, found ${found}`, {
    detail: { where, limit, found: String(found) },
  })

/** No such file, stream or volume. */
export const notFound = (what: string): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', `${what} does not exist`, { detail: { what } })

/** The caller asked for what this kind of file can't give. */
export const wrongType = (where: string, expected: string, found: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `${where}: expected a ${expected}, found a ${found}`, {
    detail: { where, expected, found },
  })
