/** Rows for tests: random ones, the same for the same seed, and a search that looks at each. @module */
import type { CatalogQuery, CatalogRecord, CatalogRow, SortColumn } from '@granary/catalog'
import { CATALOG_TYPES } from '@granary/catalog'
import { seededRandom } from '@granary/testing'
import { encodePage } from '../../src/format/page.ts'
import { paginate } from '../../src/format/paginate.ts'

const WORDS = ['config', 'отчёт', 'Журнал', 'IMG', 'index', 'a', 'Ö', 'данные', 'x-1', 'readme', '日本', 'ЁЛКА']
const ENDINGS = ['', '.txt', '.TXT', '.log', '.conf', '.Док']

export const randomRows = (seed: number, count: number): CatalogRow[] => {
  const random = seededRandom(seed)
  const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item
  const directories = ['']
  const taken = new Set<string>()
  const rows: CatalogRow[] = [
    { directory: { text: '' }, name: { text: '' }, type: 'dir', sizeBytes: 4096, mode: 0o755 },
  ]
  while (rows.length < count) {
    const directory = pick(directories)
    const text = `${pick(WORDS)}${random(3) === 0 ? random(50) : ''}${pick(ENDINGS)}`
    const path = `${directory}/${text}`
    if (taken.has(path)) continue
    taken.add(path)
    const type = random(8) === 0 && path.length < 60 ? 'dir' : pick(CATALOG_TYPES.filter(other => other !== 'dir'))
    if (type === 'dir') directories.push(path)
    const bytes = random(40) === 0 ? { bytes: Uint8Array.of(0xff, ...Buffer.from(text)) } : {}
    rows.push({
      directory: { text: directory },
      name: { text: 'bytes' in bytes ? `?${text}` : text, ...bytes },
      type,
      sizeBytes: random(5) === 0 ? 0 : random(1e6),
      ...(random(9) === 0 ? {} : { mode: pick([0o644, 0o755, 0o600]), uid: random(4) * 1000, gid: random(3) }),
      ...(random(9) === 0 ? {} : { modified: BigInt(1_600_000_000 + random(1000)) * 1_000_000_000n + 512n }),
      ...(random(3) === 0 ? {} : { created: BigInt(1_500_000_000 + random(1000)) * 1_000_000_000n }),
    })
  }
  return rows
}

export async function* recordsOf(
  rows: readonly CatalogRow[],
  id = 'p1',
  warnings = 0,
): AsyncGenerator<CatalogRecord, void, undefined> {
  yield { kind: 'volume', volume: { id, content: 'ext4', sizeBytes: 1 } }
  let pages = 0
  for await (const page of paginate(rows)) {
    pages++
    yield { kind: 'page', page: encodePage(page) }
  }
  yield { kind: 'end', counts: { rows: rows.length, pages, warnings } }
}

export const pathOf = ({ directory, name }: CatalogRow): string => `${directory.text}/${name.text}`

const fold = (text: string): string => text.normalize('NFC').toLowerCase()

const matches = (row: CatalogRow, query: CatalogQuery): boolean =>
  matchesPath(fold(pathOf(row)), query) && matchesTime(row, query) && matchesRest(row, query)

const matchesPath = (path: string, { prefix = '', suffix = '', contains = '' }: CatalogQuery): boolean =>
  path.startsWith(fold(prefix)) && path.endsWith(fold(suffix)) && path.includes(fold(contains))

const matchesTime = ({ created, modified }: CatalogRow, { from, to, by }: CatalogQuery): boolean => {
  if (from === undefined && to === undefined) return true
  const time = (by === 'created' ? created : modified) ?? -(2n ** 63n)
  return time >= (from ?? -(2n ** 62n)) && time < (to ?? 2n ** 62n)
}

const matchesRest = ({ type, sizeBytes, uid }: CatalogRow, query: CatalogQuery): boolean => {
  const { types = [], minBytes = 0, maxBytes = Infinity, owner = uid } = query
  return (types.length === 0 || types.includes(type)) && sizeBytes >= minBytes && sizeBytes <= maxBytes && uid === owner
}

const valueOf = (row: CatalogRow, sort: SortColumn): string | number => {
  if (sort === 'path') return pathOf(row)
  if (sort === 'size') return row.sizeBytes
  if (sort === 'type') return CATALOG_TYPES.indexOf(row.type)
  if (sort === 'owner') return row.uid ?? 0xffff_ffff
  if (sort === 'permissions') return row.mode ?? 0xffff
  if (sort === 'updated') return Number(row.modified ?? -(2n ** 63n))
  if (sort === 'created') return Number(row.created ?? -(2n ** 63n))
  return 0
}

/** Paths in order, for one tree. */
export const searchAll = (rows: readonly CatalogRow[], query: CatalogQuery): string[] => {
  const { sort = 'path', ascending = false } = query
  const sign = ascending ? 1 : -1
  return rows
    .map((row, index) => ({ row, index, value: valueOf(row, sort) }))
    .filter(({ row }) => matches(row, query))
    .sort((a, b) => sign * (a.value < b.value ? -1 : a.value > b.value ? 1 : a.index - b.index))
    .map(({ row }) => pathOf(row))
}
