/** What is searched for, checked. @module */
import { GranaryError } from '@granary/core'
import type { CatalogType } from '../format/row.ts'
import { CATALOG_TYPES } from '../format/row.ts'

/** Columns a result can be sorted by. */
export const SORT_COLUMNS = [
  'path',
  'id',
  'repository-id',
  'size',
  'type',
  'owner',
  'created',
  'updated',
  'permissions',
] as const

export type SortColumn = (typeof SORT_COLUMNS)[number]

/** All conditions must hold. Texts are compared without regard to case, in every script. */
export interface CatalogQuery {
  /** Snapshots to search. @default the last one of each series */
  readonly snapshots?: readonly string[]
  /** Series to search. */
  readonly names?: readonly string[]
  /** Search all snapshots, not just the last of each series. @default false */
  readonly all?: boolean
  /** The path begins so; paths begin with "/". */
  readonly prefix?: string
  /** The path ends so. */
  readonly suffix?: string
  /** The path has this in it. */
  readonly contains?: string
  readonly types?: readonly CatalogType[]
  readonly minBytes?: number
  readonly maxBytes?: number
  /** Number of the owner. */
  readonly owner?: number
  /** Nanoseconds since 1970, included. */
  readonly from?: bigint
  /** Not included. */
  readonly to?: bigint
  /** Which time `from` and `to` are about. @default 'modified' */
  readonly by?: 'modified' | 'created'
  /** @default 'path' */
  readonly sort?: SortColumn
  /** @default false: the last or largest first */
  readonly ascending?: boolean
  /** Rows of a page of results, 1 to 10,000. @default 100 */
  readonly limit?: number
  /** The `next` of the page before: this one begins behind it. */
  readonly after?: string
}

export const MAX_LIMIT = 10_000

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const checkQuery = ({
  limit = 100,
  sort = 'path',
  types = [],
  owner,
  minBytes,
  maxBytes,
}: CatalogQuery): void => {
  expect(Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT, 'limit', `1 to ${MAX_LIMIT}`, limit)
  expect(SORT_COLUMNS.includes(sort), 'sort', `one of ${SORT_COLUMNS.join(', ')}`, sort)
  for (const type of types) expect(CATALOG_TYPES.includes(type), 'type', `one of ${CATALOG_TYPES.join(', ')}`, type)
  for (const [name, value] of Object.entries({ owner, minBytes, maxBytes }))
    if (value !== undefined) expect(Number.isSafeInteger(value) && value >= 0, name, 'a whole number', value)
}

const expect = (isGood: boolean, name: string, expected: string, found: string | number): void => {
  if (isGood) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${name}: expected ${expected}, found ${found}`, {
    detail: { name, expected, found },
  })
}
