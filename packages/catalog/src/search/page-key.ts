/** Where a page of results ends, as a text that the next search begins behind: it holds values, no numbers of the index. @module */
import { GranaryError } from '@granary/core'
import type { SortColumn } from './query.ts'
import type { SortValue } from './top-rows.ts'

export interface PageKey {
  readonly sort: SortColumn
  readonly ascending: boolean
  readonly value: SortValue
  readonly snapshot: string
  /** Which of the snapshot's volumes. */
  readonly ordinal: number
  readonly position: number
  readonly row: number
}

export const encodePageKey = ({ sort, ascending, value, snapshot, ordinal, position, row }: PageKey): string =>
  Buffer.from(JSON.stringify([sort, ascending, value, snapshot, ordinal, position, row])).toString('base64url')

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is none, or belongs to another order */
export const decodePageKey = (text: string, sort: SortColumn, ascending: boolean): PageKey => {
  const parts = parse(text)
  const [keySort, keyAscending, value, snapshot, ordinal, position, row] = parts
  const isKey =
    keySort === sort &&
    keyAscending === ascending &&
    (typeof value === 'string' || typeof value === 'number') &&
    typeof snapshot === 'string' &&
    [ordinal, position, row].every(Number.isSafeInteger)
  if (!isKey)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'this is not where a page of this search ended', {
      detail: { after: text },
      hint: 'give the `next` of the page before, with the same order',
    })
  return {
    sort,
    ascending,
    value,
    snapshot,
    ordinal: ordinal as number,
    position: position as number,
    row: row as number,
  }
}

const parse = (text: string): unknown[] => {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return Array.isArray(parts) ? (parts as unknown[]) : []
  } catch {
    return []
  }
}
