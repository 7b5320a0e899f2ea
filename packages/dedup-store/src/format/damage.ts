/** Tells damaged objects from storages that fail: what is damaged stays so, and may be passed over; a failure says nothing. @module */
import { isGranaryError } from '@granary/core'
import type { GranaryError } from '@granary/core'

/** True when an object was read and is not what it must be. */
export const isDamage = (error: unknown): error is GranaryError =>
  isGranaryError(error) &&
  (error.code === 'GRANARY_CORRUPT' || error.code === 'GRANARY_AUTHENTICATION' || error.code === 'GRANARY_UNSUPPORTED')

/** True also where a key is lacking: of a generation that is not known, or that a flipped bit made up. */
export const isUnreadable = (error: unknown): error is GranaryError =>
  isDamage(error) || (isGranaryError(error) && error.code === 'GRANARY_WRONG_KEY')
