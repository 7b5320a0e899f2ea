/** What a key, a prefix and an owner may look like; see `Backend`. @module */
import { GranaryError } from '@granary/core'

/** Longest key, characters. */
const MAX_KEY_CHARACTERS = 200

const SEGMENT = '[a-z0-9-][a-z0-9.-]*'
const KEY = new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`)
const PREFIX = new RegExp(`^(?:${SEGMENT}/)*(?:${SEGMENT})?$`)
const WHOLE_SEGMENT = new RegExp(`^${SEGMENT}$`)
const OWNER = /^[a-z0-9-]{0,64}$/

/** @throws GranaryError GRANARY_INVALID_ARGUMENT unless `key` names an object */
export const checkKey = (key: string): void => check('key', key, KEY, MAX_KEY_CHARACTERS)

/** True when a key may have `name` between its slashes. */
export const isKeySegment = (name: string): boolean => WHOLE_SEGMENT.test(name)

/** @throws GranaryError GRANARY_INVALID_ARGUMENT unless some key may begin with `prefix` */
export const checkPrefix = (prefix: string): void => check('prefix', prefix, PREFIX, MAX_KEY_CHARACTERS)

/** @throws GranaryError GRANARY_INVALID_ARGUMENT unless `owner` may stand in a temporary name */
export const checkOwner = (owner: string): void => check('owner', owner, OWNER, 64)

const check = (argument: string, value: string, pattern: RegExp, maxCharacters: number): void => {
  if (value.length <= maxCharacters && pattern.test(value)) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `not a valid object ${argument}`, {
    detail: { argument, expected: `${pattern.source}, at most ${maxCharacters} characters`, got: value.slice(0, 250) },
  })
}
