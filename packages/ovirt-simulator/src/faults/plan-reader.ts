/** Reads plans of faults: what is wrong is named with its place. @module */
import { GranaryError } from '@granary/core'

export type Entry = Readonly<Record<string, unknown>>

/** Members that an entry may have, and their types: `string`, `number`, `object`, `string[]`. */
export type Members = Readonly<Record<string, 'string' | 'number' | 'object' | 'string[]'>>

export const wrong = (place: string, what: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `faults: ${place} ${what}`, { detail: { place } })

export const parseObject = (text: string): Entry => {
  try {
    return objectOf('the file', JSON.parse(text))
  } catch (error) {
    throw error instanceof SyntaxError ? wrong('the file', `is no JSON: ${error.message}`) : error
  }
}

export const objectOf = (place: string, value: unknown): Entry => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(place, 'is no object')
  return value as Entry
}

/** The entries of a list, each with no members but those, of their types. */
export const entriesOf = (place: string, list: unknown, members: Members): Entry[] => {
  if (!Array.isArray(list)) throw wrong(place, 'is no list')
  return list.map((value, n) => {
    const entry = objectOf(`${place}[${n}]`, value)
    checkMembers(`${place}[${n}]`, entry, members)
    return entry
  })
}

/** @param place empty for the plan itself */
export const checkMembers = (place: string, entry: Entry, members: Members): void => {
  for (const [member, given] of Object.entries(entry)) {
    const type = Object.hasOwn(members, member) ? members[member] : undefined
    const at = place === '' ? member : `${place}.${member}`
    if (type === undefined) throw wrong(at, `is not known: ${Object.keys(members).join(', ')}`)
    if (!isOfType(given, type)) throw wrong(at, `is no ${type}`)
  }
}

const isOfType = (value: unknown, type: Members[string]): boolean => {
  if (type === 'string[]') return Array.isArray(value) && value.every(one => typeof one === 'string')
  if (type === 'number') return typeof value === 'number' && value >= 0
  return typeof value === type
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` that names the first of `needed` that an entry lacks */
export const requireMembers = (place: string, entry: Entry, needed: readonly string[]): void => {
  for (const name of needed) if (entry[name] === undefined) throw wrong(`${place}.${name}`, 'is missing')
}

/** What a word means. @throws GranaryError `GRANARY_INVALID_ARGUMENT` that lists the words there are */
export const chosen = <T>(place: string, word: unknown, table: Readonly<Record<string, T>>): T => {
  const choice = typeof word === 'string' && Object.hasOwn(table, word) ? table[word] : undefined
  if (choice === undefined) throw wrong(place, `is none of ${Object.keys(table).join(', ')}`)
  return choice
}
