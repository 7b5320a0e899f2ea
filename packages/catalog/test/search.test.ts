/** Searches, held against one that looks at every row. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CATALOG_TYPES, CatalogIndex, SORT_COLUMNS, searchCatalog } from '@granary/catalog'
import type { CatalogHit, CatalogQuery, CatalogRecord, CatalogRow } from '@granary/catalog'
import fc from 'fast-check'
import t from 'tap'
import type { Test } from 'tap'
import { pathOf, randomRows, recordsOf, searchAll } from './helpers/rows.ts'

const folder = mkdtempSync(join(tmpdir(), 'granary-catalog-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
let count = 0
const freshIndex = async (t: Test): Promise<CatalogIndex> => {
  const index = await CatalogIndex.open(join(folder, `index-${count++}`))
  t.teardown(async () => await index[Symbol.asyncDispose]())
  return index
}

const snapshot = (id: string, name = 'web', timeMs = 1) => ({
  snapshot: id.repeat(32),
  catalog: `c${id}`,
  name,
  timeMs,
})
const paths = (hits: readonly CatalogHit[]): string[] => hits.map(({ row }) => pathOf(row))

t.test('every search finds what looking at every row finds, in every order, page after page', async t => {
  const index = await freshIndex(t)
  const rows = randomRows(1, 3000)
  await index.load(snapshot('a'), recordsOf(rows))
  const text = fc.constantFrom(
    '',
    '/',
    '/a',
    '/IMG',
    '/журнал/',
    'нал',
    'Ё',
    '.txt',
    'T',
    '/отчёт/index',
    'config.log',
    '/x-1',
    '50',
    '日本/',
  )
  const conditions = fc.record({
    prefix: text,
    suffix: text,
    contains: text,
    types: fc.array(fc.constantFrom(...CATALOG_TYPES), { minLength: 1, maxLength: 3 }),
    minBytes: fc.constantFrom(0, 1, 500_000),
    maxBytes: fc.constantFrom(0, 400_000, 1e9),
    owner: fc.constantFrom(0, 1000, 9999),
    from: fc.bigInt(1_599_999_999n, 1_600_000_500n).map(s => s * 1_000_000_000n),
    to: fc.bigInt(1_600_000_100n, 1_600_001_500n).map(s => s * 1_000_000_000n),
    by: fc.constantFrom('modified', 'created'),
  })
  const chosen = fc.subarray(
    ['prefix', 'suffix', 'contains', 'types', 'minBytes', 'maxBytes', 'owner', 'from', 'to', 'by'],
    { maxLength: 3 },
  )
  const order = fc.record({
    sort: fc.constantFrom(...SORT_COLUMNS),
    ascending: fc.boolean(),
    limit: fc.constantFrom(7, 100, 10_000),
  })
  const query = fc.tuple(conditions, chosen, order).map(([all, keys, order]): CatalogQuery & { limit: number } => ({
    ...(Object.fromEntries(Object.entries(all).filter(([key]) => keys.includes(key))) as CatalogQuery),
    ...order,
  }))
  let found = 0
  fc.assert(
    fc.property(query, query => {
      const expected = searchAll(rows, query)
      let after: string | undefined
      const seen: string[] = []
      for (let page = 0; page < 4; page++) {
        const result = searchCatalog(index, after === undefined ? query : { ...query, after })
        seen.push(...paths(result.hits))
        after = result.next
        if (after === undefined) break
      }
      found += expected.length
      const shown = expected.slice(0, after === undefined ? Infinity : 4 * query.limit)
      if (seen.join('\n') !== shown.join('\n'))
        throw new Error(
          `found ${seen.length} of ${expected.length}:\n${seen.slice(0, 5).join('\n')}\n-- expected\n${shown.slice(0, 5).join('\n')}`,
        )
    }),
    { seed: 3, numRuns: 150 },
  )
  t.ok(found > 10_000, `${found} rows in all`)
})

t.test('a row comes back as it was recorded', async t => {
  const index = await freshIndex(t)
  const rows = randomRows(2, 1500)
  await index.load(snapshot('a'), recordsOf(rows))
  const { hits } = searchCatalog(index, { sort: 'id', ascending: true, limit: 10_000 })
  t.strictSame(
    hits.map(({ row }) => ({ ...row, name: { ...row.name }, directory: { ...row.directory } })),
    rows,
  )
  t.equal(new Set(hits.map(({ id }) => id)).size, rows.length, 'ids are unique')
})

t.test('rows with long paths come back, in pages that stay small', async t => {
  const index = await freshIndex(t)
  const rows = Array.from({ length: 300 }, (_, i): CatalogRow => {
    const text = `/${String(i).padStart(4, '0')}${'/ы'.repeat(20_000)}`
    return {
      directory: { text: `${text}?`, bytes: Uint8Array.of(...Buffer.from(text), 0xff) },
      name: { text: 'x' },
      type: 'file',
      sizeBytes: i,
    }
  })
  const pages: number[] = []
  const records: CatalogRecord[] = []
  for await (const record of recordsOf(rows)) {
    records.push(record)
    if (record.kind === 'page') pages.push(record.page.length)
  }
  t.ok(pages.length > 3 && Math.max(...pages) < 16 * 1024 * 1024, `pages of ${pages.join(', ')} bytes`)
  await index.load(snapshot('a'), records)
  const { hits } = searchCatalog(index, { sort: 'id', ascending: true, limit: 1000 })
  // Said in digests: a difference of megabytes helps nobody.
  const digest = ({ directory, sizeBytes }: CatalogRow): string =>
    createHash('sha256')
      .update(`${directory.text} ${sizeBytes} `)
      .update(directory.bytes ?? '')
      .digest('hex')
  t.strictSame(
    hits.map(({ row }) => digest(row)),
    rows.map(digest),
  )
})

t.test('snapshots that share pages: each file of each is found, and the page stands in the index once', async t => {
  const index = await freshIndex(t)
  const rows = randomRows(3, 2000)
  const later = rows.filter((_, i) => i !== 700)
  await index.load(snapshot('a'), recordsOf(rows))
  await index.load(snapshot('b', 'web', 2), recordsOf(later))
  await index.load(snapshot('c', 'db', 3), recordsOf(rows.slice(0, 10)))
  const contains = 'index'
  const inFirst = searchAll(rows, { contains }).length
  const inLater = searchAll(later, { contains }).length
  const inOther = searchAll(rows.slice(0, 10), { contains }).length
  const countOf = (query: CatalogQuery): number =>
    searchCatalog(index, { contains, limit: 10_000, ...query }).hits.length
  t.equal(countOf({}), inLater + inOther, 'the last of each series')
  t.equal(countOf({ all: true }), inFirst + inLater + inOther)
  t.equal(countOf({ names: ['web'] }), inLater)
  t.equal(countOf({ snapshots: ['a'.repeat(32)] }), inFirst)
  t.equal(countOf({ snapshots: ['d'.repeat(32)] }), 0)
  for (const sort of SORT_COLUMNS) {
    const whole = searchCatalog(index, { all: true, sort, limit: 10_000 })
    let after: string | undefined
    const seen: CatalogHit[] = []
    do {
      const { hits, next } = searchCatalog(index, {
        all: true,
        sort,
        limit: 997,
        ...(after === undefined ? {} : { after }),
      })
      seen.push(...hits)
      after = next
    } while (after !== undefined)
    const key = ({ snapshot, id }: CatalogHit): string => `${snapshot.snapshot} ${id}`
    t.strictSame(seen.map(key), whole.hits.map(key), `by ${sort}, page after page`)
  }
})

t.test('what is out of range is refused', async t => {
  const index = await freshIndex(t)
  await index.load(snapshot('a'), recordsOf(randomRows(4, 300)))
  const { next = '' } = searchCatalog(index, { sort: 'size', limit: 10 })
  const bad: CatalogQuery[] = [
    { limit: 0 },
    { limit: 10_001 },
    { limit: 1.5 },
    { owner: -1 },
    { sort: 'colour' as 'path' },
    { types: ['door' as 'file'] },
    { after: 'nonsense' },
    { after: next },
    { after: next, sort: 'size', ascending: true },
  ]
  for (const query of bad) t.throws(() => searchCatalog(index, query), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.equal(searchCatalog(index, { after: next, sort: 'size', limit: 10 }).hits.length, 10)
})
