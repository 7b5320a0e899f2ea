/**
 * Reads the engine's JSON as it really is: booleans and integers are strings, dates are numbers, what is null is absent, an
 * empty collection may be missing, `{}` or `[]`.
 *
 * @see docs/ovirt-adapter.md, "What the engine says"
 * @module
 */
import { GranaryError } from '@granary/core'

/** An object of the engine, undecoded. */
export interface Json {
  readonly [name: string]: unknown
}

export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** @throws GranaryError `GRANARY_PROTOCOL` when the property is there and is no text */
export const textOf = (json: Json, name: string): string | undefined => {
  const value = json[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw malformed(name, 'a text', value)
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the property is missing or no text */
export const neededText = (json: Json, name: string): string => {
  const value = textOf(json, name)
  if (value !== undefined) return value
  throw malformed(name, 'a text', value)
}

/** `"true"` and `true` alike. @throws GranaryError `GRANARY_PROTOCOL` */
export const booleanOf = (json: Json, name: string): boolean | undefined => {
  const value = json[name]
  if (value === undefined || value === null) return undefined
  if (value === true || value === 'true') return true
  if (value === false || value === 'false') return false
  throw malformed(name, '"true" or "false"', value)
}

/** `"42"` and `42` alike. @throws GranaryError `GRANARY_PROTOCOL` when it is no integer of at most 2^53 - 1 */
export const integerOf = (json: Json, name: string): number | undefined => {
  const value = json[name]
  if (value === undefined || value === null) return undefined
  const number =
    typeof value === 'number' ? value : typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : NaN
  if (Number.isSafeInteger(number)) return number
  throw malformed(name, 'an integer', value)
}

/** Milliseconds since 1970; engines send them as a number, some tools as ISO 8601. @throws GranaryError `GRANARY_PROTOCOL` */
export const timeOf = (json: Json, name: string): number | undefined => {
  const value = json[name]
  if (typeof value === 'string' && !/^-?\d+$/.test(value)) {
    const ms = Date.parse(value)
    if (!Number.isNaN(ms)) return ms
  }
  return integerOf(json, name)
}

/** A nested object. */
export const objectOf = (json: Json, name: string): Json | undefined => {
  const value = json[name]
  if (value === undefined || value === null) return undefined
  if (isJson(value)) return value
  throw malformed(name, 'an object', value)
}

/** The id of what a reference such as `"cluster": {"id": …}` points at. */
export const referenceOf = (json: Json, name: string): string | undefined => {
  const target = objectOf(json, name)
  return target === undefined ? undefined : textOf(target, 'id')
}

/**
 * The items of a collection: `{"disk": [...]}` read with `disk`.
 *
 * @throws GranaryError `GRANARY_PROTOCOL` when it is no array of objects
 */
export const itemsOf = (json: Json | undefined, name: string): readonly Json[] => {
  const value = json?.[name]
  if (value === undefined || value === null) return []
  if (Array.isArray(value) && value.every(isJson)) return value
  throw malformed(name, 'an array of objects', value)
}

/** The items of a wrapped collection: `"storage_domains": {"storage_domain": [...]}`. */
export const nestedItemsOf = (json: Json, wrapper: string, name: string): readonly Json[] =>
  itemsOf(objectOf(json, wrapper), name)

/** Whether the object links to a sub-collection: how features are found out. */
export const hasLink = (json: Json, relation: string): boolean =>
  itemsOf(json, 'link').some(link => link['rel'] === relation)

/** @throws GranaryError `GRANARY_PROTOCOL` when the text is no JSON object */
export const parseJson = (text: string, what: string): Json => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new GranaryError('GRANARY_PROTOCOL', `${what}: expected JSON, got ${text.length} bytes of something else`, {
      detail: { what, sizeBytes: text.length },
      cause,
    })
  }
  if (isJson(value)) return value
  throw new GranaryError('GRANARY_PROTOCOL', `${what}: expected a JSON object`, { detail: { what } })
}

const malformed = (name: string, expected: string, value: unknown): GranaryError =>
  new GranaryError('GRANARY_PROTOCOL', `the engine's "${name}": expected ${expected}, got ${describe(value)}`, {
    detail: { property: name },
  })

const describe = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 60))
