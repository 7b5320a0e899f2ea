/**
 * Searches the index: page after page, first the columns that conditions ask for, then the one that sorts, and all of them
 * only for the rows of the answer. A page that several snapshots share is looked at once.
 *
 * @module
 */
import type { Bytes } from '@granary/core'
import type { CatalogIndex, IndexedSnapshot, IndexedTree } from '../catalog-index.ts'
import { COLUMNS, directoriesOf, namesOf, numbersOf, rowOf, shortNumbersOf } from '../format/page.ts'
import type { ColumnName, PageColumns } from '../format/page.ts'
import { CATALOG_TYPES } from '../format/row.ts'
import type { CatalogRow } from '../format/row.ts'
import type { CatalogVolume } from '../format/stream.ts'
import { decodePageKey, encodePageKey } from './page-key.ts'
import { pathConditions, rowsWithName } from './path-condition.ts'
import type { PathCondition } from './path-condition.ts'
import { checkQuery } from './query.ts'
import type { CatalogQuery, SortColumn } from './query.ts'
import { TopRows, order } from './top-rows.ts'
import type { RankedRow, SortValue } from './top-rows.ts'

/** A file that was found. */
export interface CatalogHit {
  readonly snapshot: IndexedSnapshot
  readonly volume: CatalogVolume
  readonly row: CatalogRow
  /** Of the file in the catalog of its snapshot: volume, page, row. */
  readonly id: string
}

export interface CatalogResult {
  readonly hits: readonly CatalogHit[]
  /** Present when there is more: `after` of the next search. */
  readonly next?: string
  /** Snapshots that were searched. */
  readonly snapshots: readonly IndexedSnapshot[]
}

/**
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the query is out of its ranges, `GRANARY_CORRUPT` when the index
 * is damaged
 */
export const searchCatalog = (index: CatalogIndex, query: CatalogQuery): CatalogResult => {
  checkQuery(query)
  try {
    return search(index, query)
  } catch (error) {
    throw index.explain(error)
  }
}

const search = (index: CatalogIndex, query: CatalogQuery): CatalogResult => {
  const { sort = 'path', ascending = false, limit = 100 } = query
  const snapshots = chooseSnapshots(index.snapshots(), query)
  const trees = index.trees(new Set(snapshots.map(({ snapshot }) => snapshot)))
  const ranks = new Map(trees.map(({ id }, rank) => [id, rank]))
  // One more than asked for tells whether there is more.
  const top = new TopRows(limit + 1, ascending ? 1 : -1, afterOf(query, trees))
  const conditions = pathConditions(query)
  const filters = filtersOf(query)
  using pieces = index.pieces()
  for (const { page, places } of index.places(trees)) {
    const read = (column: ColumnName): Bytes => pieces.read(page, column)
    const rows = read('type').length
    const passing = passingRows(read, rows, conditions, filters)
    if (passing === undefined) continue
    const ranked = places.map(({ tree, position }) => ({ tree: ranks.get(tree) as number, position }))
    const valueOf = sortValues(read, sort, { top, ascending })
    for (let row = 0; row < rows; row++) {
      if (passing[row] === 0) continue
      const value = valueOf(row)
      if (value === undefined || (sort !== 'repository-id' && top.isLate(value))) continue
      for (const { tree, position } of ranked)
        top.offer({ value: sort === 'repository-id' ? snapshotOf(trees, tree) : value, tree, position, row, page })
    }
  }
  return resultOf(top.finish(), { query, trees, snapshots, pieces })
}

const snapshotOf = (trees: readonly IndexedTree[], rank: number): string => (trees[rank] as IndexedTree).snapshot

const chooseSnapshots = (
  snapshots: readonly IndexedSnapshot[],
  { snapshots: ids, names, all = ids !== undefined }: CatalogQuery,
): IndexedSnapshot[] => {
  const wanted = snapshots.filter(
    ({ snapshot, name }) => (ids?.includes(snapshot) ?? true) && (names?.includes(name) ?? true),
  )
  if (all) return wanted
  return [...new Map(wanted.map(snapshot => [snapshot.name, snapshot])).values()]
}

/** A tree that isn't searched any more keeps its place in the order: the rank of the first one behind it, and half a step less. */
const afterOf = (
  { after, sort = 'path', ascending = false }: CatalogQuery,
  trees: readonly IndexedTree[],
): Omit<RankedRow, 'page'> | undefined => {
  if (after === undefined) return undefined
  const { value, snapshot, ordinal, position, row } = decodePageKey(after, sort, ascending)
  const found = trees.findIndex(
    tree => order(tree.snapshot, snapshot) > 0 || (tree.snapshot === snapshot && tree.ordinal >= ordinal),
  )
  const tree = found < 0 ? trees.length : found
  const isThere = trees[tree]?.snapshot === snapshot && trees[tree]?.ordinal === ordinal
  return { value, tree: isThere ? tree : tree - 0.5, position, row }
}

type Read = (column: ColumnName) => Bytes

interface Filter {
  readonly column: 'modified' | 'created' | 'size' | 'owner' | 'type'
  readonly passes: (value: number) => boolean
}

const filtersOf = ({
  types,
  minBytes = 0,
  maxBytes = Infinity,
  owner,
  from,
  to,
  by = 'modified',
}: CatalogQuery): Filter[] => {
  const filters: Filter[] = []
  if (types !== undefined && types.length > 0) {
    const numbers = new Set(types.map(type => CATALOG_TYPES.indexOf(type)))
    filters.push({ column: 'type', passes: value => numbers.has(value) })
  }
  if (minBytes > 0 || maxBytes < Infinity)
    filters.push({ column: 'size', passes: value => value >= minBytes && value <= maxBytes })
  if (owner !== undefined) filters.push({ column: 'owner', passes: value => value === owner })
  if (from !== undefined || to !== undefined) {
    const [first, end] = [Number(from ?? -(2n ** 62n)), Number(to ?? 2n ** 62n)]
    filters.push({ column: by, passes: value => value >= first && value < end })
  }
  return filters
}

/** One byte a row, or undefined when none passes. */
const passingRows = (
  read: Read,
  rows: number,
  conditions: readonly PathCondition[],
  filters: readonly Filter[],
): Uint8Array | undefined => {
  const passing = new Uint8Array(rows).fill(1)
  if (conditions.length > 0) {
    const folded = (column: ColumnName, plain: ColumnName): Bytes => {
      const bytes = read(column)
      return bytes.length > 0 ? bytes : read(plain)
    }
    const directories = directoriesOf(folded('foldedDirectories', 'directories'))
    const indexes = shortNumbersOf(read('directory'))
    for (const condition of conditions) {
      const verdicts = directories.map(directory => condition.verdict(directory))
      if (verdicts.every(verdict => verdict === 'none')) return undefined
      const hits = verdicts.includes('name')
        ? rowsWithName(folded('folded', 'names'), shortNumbersOf(folded('foldedLengths', 'lengths')), condition.inNames)
        : passing
      for (let row = 0; row < rows; row++) {
        const verdict = verdicts[indexes[row] as number]
        if (verdict === 'none' || (verdict === 'name' && hits[row] === 0)) passing[row] = 0
      }
    }
  }
  if (!passing.includes(1)) return undefined
  for (const { column, passes } of filters) {
    const values = numbersOf(column, read(column))
    for (let row = 0; row < rows; row++) if (passing[row] === 1 && !passes(values[row] as number)) passing[row] = 0
  }
  return passing.includes(1) ? passing : undefined
}

interface Order {
  readonly top: TopRows
  readonly ascending: boolean
}

/** What a row is sorted by; undefined when it is known to come too late. */
const sortValues = (read: Read, sort: SortColumn, order: Order): ((row: number) => SortValue | undefined) => {
  if (sort === 'path') return pathValues(read, order)
  if (sort === 'id' || sort === 'repository-id') return () => 0 // Their place in the order of all rows says all; `offer` gets the snapshot.
  const column = (
    {
      updated: 'modified',
      created: 'created',
      size: 'size',
      owner: 'owner',
      permissions: 'mode',
      type: 'type',
    } as const
  )[sort]
  const values = numbersOf(column, read(column))
  return row => values[row]
}

/** Paths are made only of rows that may be among the first: mostly the directory alone says that a row isn't. */
const pathValues = (read: Read, { top, ascending }: Order): ((row: number) => SortValue | undefined) => {
  const directories = directoriesOf(read('directories')).map(directory => `${directory}/`)
  const indexes = shortNumbersOf(read('directory'))
  const last = top.last?.value
  const isLate = directories.map(directory => {
    if (typeof last !== 'string' || last.startsWith(directory)) return false
    return ascending ? directory > last : directory < last
  })
  let nameAt: ((row: number) => string) | undefined
  return row => {
    const directory = indexes[row] as number
    if (isLate[directory] === true) return undefined
    nameAt ??= namesOf({ names: read('names'), lengths: read('lengths') })
    return `${directories[directory]}${nameAt(row)}`
  }
}

interface Context {
  readonly query: CatalogQuery
  readonly trees: readonly IndexedTree[]
  readonly snapshots: readonly IndexedSnapshot[]
  readonly pieces: ReturnType<CatalogIndex['pieces']>
}

const resultOf = (rows: readonly RankedRow[], { query, trees, snapshots, pieces }: Context): CatalogResult => {
  const { sort = 'path', ascending = false, limit = 100 } = query
  const byId = new Map(snapshots.map(snapshot => [snapshot.snapshot, snapshot]))
  const shown = rows.slice(0, limit)
  const hits: CatalogHit[] = []
  // Page by page, so that no more than one is unpacked at a time.
  let opened: { readonly page: number; readonly rowAt: (row: number) => CatalogRow } | undefined
  for (const i of [...shown.keys()].sort((a, b) => pageAt(shown, a) - pageAt(shown, b))) {
    const { page, tree, position, row } = shown[i] as RankedRow
    if (opened?.page !== page) opened = { page, rowAt: rowOf(readAll(pieces, page)) }
    const { snapshot, ordinal, volume } = trees[tree] as IndexedTree
    const id = `${ordinal}.${position}.${row}`
    hits[i] = { snapshot: byId.get(snapshot) as IndexedSnapshot, volume, row: opened.rowAt(row), id }
  }
  const last = rows[limit - 1]
  if (rows.length <= limit || last === undefined) return { hits, snapshots }
  const { snapshot, ordinal } = trees[last.tree] as IndexedTree
  const { value, position, row } = last
  return { hits, snapshots, next: encodePageKey({ sort, ascending, value, snapshot, ordinal, position, row }) }
}

const pageAt = (rows: readonly RankedRow[], i: number): number => (rows[i] as RankedRow).page

const readAll = (pieces: Context['pieces'], page: number): PageColumns =>
  Object.fromEntries(COLUMNS.map(({ name }) => [name, pieces.read(page, name)])) as PageColumns
