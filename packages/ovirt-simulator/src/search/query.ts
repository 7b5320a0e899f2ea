/**
 * The language of `?search=`: `name=web* and status=up sortby name asc page 2`.
 *
 * @see CONTRACT §1.5
 * @module
 */
import { ApiError } from '../http/api-error.ts'

/** What of an entity can be searched, by field; a list matches where one of its values does. */
export type Fields = Readonly<Record<string, string | number | undefined | readonly string[]>>

interface Condition {
  /** Empty for a free text, which any field may have. */
  readonly field: string
  readonly operator: string
  readonly value: string
}

export interface Query {
  /** Alternatives of conditions that hold together. */
  readonly anyOf: readonly (readonly Condition[])[]
  readonly sortBy?: { readonly field: string; readonly isDescending: boolean }
  /** From 1. */
  readonly page?: number
}

const TOKEN = /\s*("(?:[^"\\]|\\.)*"|!=|>=|<=|=|>|<|[^\s"=<>!]+)/gy
const OPERATORS = new Set(['=', '!=', '>', '<', '>=', '<='])

/** @throws ApiError 400 when it cannot be read */
export const parseQuery = (text: string): Query => {
  const tokens = tokensOf(text)
  const anyOf: Condition[][] = [[]]
  let tail: Omit<Query, 'anyOf'> = {}
  while (tokens.length > 0) {
    const token = tokens.shift() ?? ''
    const word = token.toLowerCase()
    if (word === 'or') anyOf.push([])
    else if (word === 'sortby') tail = { ...tail, sortBy: takeOrder(tokens, text) }
    else if (word === 'page') tail = { ...tail, page: takePage(tokens, text) }
    else if (word !== 'and') anyOf.at(-1)?.push(takeCondition(token, tokens, text))
  }
  return { anyOf, ...tail }
}

const takeOrder = (tokens: string[], text: string): { field: string; isDescending: boolean } => {
  const field = tokens.shift()
  if (field === undefined) throw malformed(text)
  const order = tokens[0]?.toLowerCase()
  if (order === 'asc' || order === 'desc') tokens.shift()
  return { field: field.toLowerCase(), isDescending: order === 'desc' }
}

const takePage = (tokens: string[], text: string): number => {
  const page = Number(tokens.shift())
  if (!Number.isInteger(page) || page < 1) throw malformed(text)
  return page
}

const takeCondition = (token: string, tokens: string[], text: string): Condition => {
  if (!OPERATORS.has(tokens[0] ?? '')) return { field: '', operator: '=', value: unquote(token) }
  const [operator = '', value] = tokens.splice(0, 2)
  if (value === undefined) throw malformed(text)
  return { field: token.toLowerCase(), operator, value: unquote(value) }
}

const tokensOf = (text: string): string[] => {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const [, token] = TOKEN.exec(text) ?? []
    if (token === undefined) throw malformed(text)
    tokens.push(token)
  }
  return tokens
}

const unquote = (token: string): string =>
  token.startsWith('"') ? token.slice(1, -1).replaceAll(/\\(.)/g, '$1') : token

const malformed = (text: string): ApiError => new ApiError(400, 'Operation Failed', `[Invalid search: ${text}]`)

export interface SearchOptions {
  readonly isCaseSensitive: boolean
  /** Most to give back; a page has that many. */
  readonly max?: number | undefined
}

/**
 * The items that a query finds, in its order, cut to its page.
 *
 * @throws ApiError 400 when a field does not exist
 */
export const search = <T>(
  items: readonly T[],
  query: Query,
  fieldsOf: (item: T) => Fields,
  { isCaseSensitive, max }: SearchOptions,
): T[] => {
  const matches = (item: T): boolean => {
    const fields = fieldsOf(item)
    return query.anyOf.some(all => all.every(condition => holds(condition, fields, isCaseSensitive)))
  }
  const foundItems = items.filter(matches)
  const { sortBy, page = 1 } = query
  if (sortBy !== undefined) {
    const keyOf = (item: T): string | number => first(fieldsOf(item)[sortBy.field]) ?? ''
    foundItems.sort((left, right) => compare(keyOf(left), keyOf(right)) * (sortBy.isDescending ? -1 : 1))
  }
  return max === undefined || max < 0 ? foundItems : foundItems.slice((page - 1) * max, page * max)
}

const first = (value: Fields[string]): string | number | undefined => (typeof value === 'object' ? value[0] : value)

const compare = (left: string | number, right: string | number): number =>
  typeof left === 'number' && typeof right === 'number'
    ? left - right
    : String(left) < String(right)
      ? -1
      : left === right
        ? 0
        : 1

const holds = ({ field, operator, value }: Condition, fields: Fields, isCaseSensitive: boolean): boolean => {
  if (field === '') {
    const matches = wildcard(`*${value}*`, isCaseSensitive)
    return Object.values(fields).some(one => textsOf(one).some(matches))
  }
  if (!(field in fields)) throw new ApiError(400, 'Operation Failed', `[Invalid search field: ${field}]`)
  const texts = textsOf(fields[field])
  const matches = wildcard(value, isCaseSensitive)
  switch (operator) {
    case '=':
      return texts.some(matches)
    case '!=':
      return !texts.some(matches)
    default:
      return texts.some(text => isOrdered(Number(text), operator, Number(value)))
  }
}

const isOrdered = (left: number, operator: string, right: number): boolean =>
  operator.startsWith('>')
    ? left > right || (operator === '>=' && left === right)
    : left < right || (operator === '<=' && left === right)

const textsOf = (value: Fields[string]): readonly string[] =>
  value === undefined ? [] : typeof value === 'object' ? value : [String(value)]

/** Whether a text is like a pattern in which `*` stands for anything. Takes no longer for many of them. */
const wildcard = (pattern: string, isCaseSensitive: boolean): ((text: string) => boolean) => {
  const fold = (text: string): string => (isCaseSensitive ? text : text.toLowerCase())
  const [start = '', ...rest] = fold(pattern).split('*')
  const end = rest.pop()
  return given => {
    const text = fold(given)
    if (end === undefined) return text === start
    if (!text.startsWith(start)) return false
    let at = start.length
    for (const part of rest) {
      const place = text.indexOf(part, at)
      if (place < 0) return false
      at = place + part.length
    }
    return text.length - end.length >= at && text.endsWith(end)
  }
}
