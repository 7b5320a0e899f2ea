/** Ids as engines make them. @module */
import { GranaryError } from '@granary/core'

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The blank template, and every machine's one CD-ROM drive. */
export const BLANK_ID = '00000000-0000-0000-0000-000000000000'

/**
 * Gives back an id that may stand in a path.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is no GUID
 */
export const checkedId = (id: string, what: string): string => {
  if (GUID.test(id)) return id
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${what} "${id.slice(0, 60)}": expected an id such as 2f3b...`, {
    detail: { what },
  })
}
