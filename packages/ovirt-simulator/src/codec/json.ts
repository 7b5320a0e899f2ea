/**
 * JSON as the engine emits it: booleans and integers are strings, dates epoch milliseconds, lists wrapped, nulls absent.
 *
 * @see CONTRACT §0.1
 * @module
 */
import { ApiError, UsageError } from '../http/api-error.ts'
import { API_PATH, TOP_LEVEL, attributesOf, elementName, enumValues, isTypeName, snakeCase } from '../model/schema.ts'
import type { Attribute, Attributes, TypeName, Value } from '../model/schema.ts'

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }
type JsonObject = Record<string, Json>

/** One entity; `id` and `href` come last, as the engine has them. */
export const encodeEntity = (type: TypeName, entity: Attributes): JsonObject => {
  const known = attributesOf(type)
  const answer: JsonObject = {}
  for (const [name, value] of Object.entries(entity)) {
    if (value === undefined || name === 'id' || name === 'href') continue
    if (name === 'link') answer['link'] = value as Json
    else if (name === 'actions') answer['actions'] = { link: value as Json }
    else answer[name] = encodeAttribute(attributeOf(known, type, name), value)
  }
  const id = entity['id'] as string | undefined
  const path = TOP_LEVEL[type]
  const href = entity['href'] ?? (id === undefined || path === undefined ? undefined : `${API_PATH}/${path}/${id}`)
  if (href !== undefined) answer['href'] = href as string
  if (id !== undefined) answer['id'] = id
  return answer
}

/** A collection; an empty one that nobody touched is `{}`. */
export const encodeList = (type: TypeName, entities: readonly Attributes[], isTouched = false): JsonObject =>
  entities.length === 0 && !isTouched ? {} : { [snakeCase(type)]: entities.map(entity => encodeEntity(type, entity)) }

const attributeOf = (known: ReadonlyMap<string, Attribute>, type: string, name: string): Attribute => {
  const attribute = known.get(name)
  if (attribute === undefined) throw new TypeError(`${type} has no attribute ${name}`)
  return attribute
}

const encodeAttribute = (attribute: Attribute, value: Value): Json => {
  if (!attribute.isList) return encodeValue(attribute.type, value)
  return { [elementName(attribute)]: (value as readonly Value[]).map(item => encodeValue(attribute.type, item)) }
}

const encodeValue = (type: string, value: Value): Json => {
  if (isTypeName(type)) return encodeEntity(type, value as Attributes)
  if (type === 'bool' || type === 'int') return String(value as number)
  return value as string | number
}

/** Whether the engine knows an attribute: older ones know fewer. */
export type Knows = (name: string) => boolean

/**
 * Reads a body of the given type.
 *
 * @throws UsageError when it is no JSON, has an attribute the type does not have, or a lone object where a list belongs
 * @throws ApiError 400 on a value that is none of its enumeration
 */
export const decodeJson = (type: TypeName, text: string, knows: Knows): Attributes => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new UsageError('the body is no JSON')
  }
  return decodeEntity(type, json, knows)
}

const decodeEntity = (type: TypeName, json: unknown, knows: Knows): Attributes => {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new UsageError(`${type}: no object`)
  const known = attributesOf(type)
  const entity: Record<string, Value> = {}
  for (const [name, value] of Object.entries(json)) {
    const attribute = known.get(name)
    const isId = name === 'id' || name === 'href' || name === 'link' || name === 'actions'
    if ((attribute === undefined || !knows(name)) && !isId)
      throw new UsageError(`Unrecognized field "${name}" (class ${type})`)
    if (value !== null && attribute !== undefined) entity[name] = decodeAttribute(attribute, value, knows)
    else if (name === 'id') entity['id'] = String(value)
  }
  return entity
}

const decodeAttribute = (attribute: Attribute, json: unknown, knows: Knows): Value => {
  const { name, type, isList } = attribute
  if (!isList) return decodeValue(name, type, json, knows)
  const wrapper = json as Record<string, unknown>
  const element = elementName(attribute)
  if (typeof json !== 'object' || Object.keys(wrapper).some(key => key !== element))
    throw new UsageError(`Unrecognized field in "${name}": expected "${element}"`)
  const items = wrapper[element] ?? []
  if (!Array.isArray(items)) throw new UsageError(`"${name}.${element}" is no array`)
  return items.map(item => decodeValue(name, type, item, knows))
}

const decodeValue = (name: string, type: string, json: unknown, knows: Knows): Value => {
  if (isTypeName(type)) return decodeEntity(type, json, knows)
  if (typeof json === 'object') throw new UsageError(`"${name}" is no ${type}`)
  return decodeScalar(name, type, json as string | number | boolean)
}

/** Reads what each type is written as; undefined for what is none. */
const READERS: Readonly<Record<string, (text: string) => Value | undefined>> = {
  bool: text => (text === 'true' || text === 'false' ? text === 'true' : undefined),
  int: text => (/^[+-]?\d{1,19}$/.test(text) ? Number(text) : undefined),
  num: text => (text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined),
  date(text) {
    const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
    return Number.isNaN(ms) ? undefined : ms
  },
  str: text => text,
}

/** Reads one value as the engine does; XML hands its texts over, too. */
export const decodeScalar = (name: string, type: string, json: string | number | boolean): Value => {
  const text = String(json)
  const read = READERS[type]
  if (read === undefined) {
    const word = text.toLowerCase()
    if (enumValues(type)?.includes(word) === true) return word
    throw new ApiError(400, 'Invalid Enum value', `Invalid value: ${text} for type: ${type}`)
  }
  const value = read(text)
  if (value === undefined) throw new ApiError(400, 'Invalid value', `Invalid value ${text} of ${name}`)
  return value
}
