// How fast the index of catalogs is loaded and searched, and what it takes on disk: 1,000,000 files.
//   node bench/catalog.mjs [--rows N] [--json]        ours
//   node bench/catalog.mjs --alternatives             also tables of rows, with LIKE, and FTS5 with trigrams
// Of three rounds of a search the quickest counts, for noise only adds; every one asks for 10,000 rows, in every order.
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CatalogIndex, SORT_COLUMNS, decodeCatalog, encodeCatalog, searchCatalog } from '@granary/catalog'
import { openRawReader } from '@granary/core'
import { encodePage } from '../packages/catalog/dist/src/format/page.js'
import { paginate } from '../packages/catalog/dist/src/format/paginate.js'

const TARGETS = { loadSeconds: 10, searchSeconds: 0.5, bytesARow: 170 }
const argument = (name, otherwise) => {
  const at = process.argv.indexOf(name)
  return at < 0 ? otherwise : Number(process.argv[at + 1])
}
const ROWS = argument('--rows', 1_000_000)
const ROUNDS = 3
const isJson = process.argv.includes('--json')
const report = line =>
  console.log(isJson ? JSON.stringify({ bench: 'catalog', ...line }) : Object.values(line).join('\t'))

const WORDS = [
  'config', 'report', 'отчёт', 'Документ', 'image', 'lib', 'node', 'index', 'main', 'test',
  'data', 'Журнал', 'backup', 'photo', 'archive', 'версия', 'module', 'util', 'README', 'Invoice',
] // prettier-ignore
const ENDINGS = ['.txt', '.js', '.conf', '.log', '.JPG', '.docx', '.so', '.h', '.py', '']

let state = 1
const random = below => {
  state ^= state << 13
  state >>>= 0
  state ^= state >>> 17
  state ^= state << 5
  state >>>= 0
  return state % below
}
const pick = items => items[random(items.length)]

/** Folders of about twenty files, four to eight deep, as on a server. */
function* rows() {
  let directory = ''
  for (let i = 0; i < ROWS; i++) {
    if (i % 20 === 0)
      directory = `/${Array.from({ length: 3 + random(5) }, () => `${pick(WORDS)}${random(30)}`).join('/')}`
    yield {
      directory: { text: directory },
      name: { text: `${pick(WORDS)}-${pick(WORDS)}${i}${pick(ENDINGS)}` },
      type: random(20) === 0 ? 'dir' : 'file',
      sizeBytes: random(1e9),
      mode: pick([0o644, 0o755, 0o600]),
      uid: random(50) * 20,
      gid: random(50) * 20,
      modified: BigInt(1_500_000_000 + random(200_000_000)) * 1_000_000_000n + BigInt(random(1e9)),
      created: BigInt(1_400_000_000 + random(100_000_000)) * 1_000_000_000n,
    }
  }
}

async function* records() {
  yield { kind: 'volume', volume: { id: 'p1', content: 'ext4', sizeBytes: 0 } }
  let pages = 0
  for await (const page of paginate(rows())) {
    pages++
    yield { kind: 'page', page: encodePage(page) }
  }
  yield { kind: 'end', counts: { rows: ROWS, pages, warnings: 0 } }
}

/** Seconds of the clock, and of the processor: on a busy machine they are worlds apart. */
const measure = async work => {
  const [start, before] = [performance.now(), process.cpuUsage()]
  await work()
  const { user, system } = process.cpuUsage(before)
  return { wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 }
}

const FILTERS = {
  'no condition': {},
  'contains "журнал"': { contains: 'журнал' },
  'contains "e"': { contains: 'e' },
  'contains "77777", rare': { contains: '77777' },
  'contains "7/readme"': { contains: '7/readme' },
  'suffix ".jpg"': { suffix: '.jpg' },
  'prefix "/lib1"': { prefix: '/lib1' },
  'prefix and suffix': { prefix: '/д', suffix: '.log' },
  'size and owner': { minBytes: 1e6, maxBytes: 2e8, owner: 100 },
  'a month, files': { types: ['file'], from: 1_600_000_000n * 10n ** 9n, to: 1_602_600_000n * 10n ** 9n },
}

const folder = mkdtempSync(join(tmpdir(), 'granary-bench-'))
try {
  const catalog = join(folder, 'catalog')
  await pipeline(encodeCatalog(records()), createWriteStream(catalog))
  const path = join(folder, 'index')
  const index = await CatalogIndex.open(path)
  const disk = await openRawReader(catalog)
  const load = await measure(
    async () =>
      await index.load({ snapshot: 'a'.repeat(32), catalog: 'c', name: 'web', timeMs: 0 }, decodeCatalog(disk)),
  )
  await disk[Symbol.asyncDispose]()
  const bytesARow = statSync(path).size / ROWS
  report({
    what: 'load',
    rows: ROWS,
    wall: load.wall.toFixed(2),
    cpu: load.cpu.toFixed(2),
    target: TARGETS.loadSeconds,
  })
  report({
    what: 'bytes a row',
    index: bytesARow.toFixed(1),
    stream: (statSync(catalog).size / ROWS).toFixed(1),
    target: TARGETS.bytesARow,
  })
  const worst = { wall: 0, cpu: 0 }
  for (const [name, filter] of Object.entries(FILTERS)) {
    for (const sort of SORT_COLUMNS) {
      const best = { wall: Infinity, cpu: Infinity }
      let found = 0
      for (let round = 0; round < ROUNDS; round++) {
        const search = () => void (found = searchCatalog(index, { ...filter, sort, limit: 10_000 }).hits.length)
        const { wall, cpu } = await measure(search)
        best.wall = Math.min(best.wall, wall)
        best.cpu = Math.min(best.cpu, cpu)
      }
      worst.wall = Math.max(worst.wall, best.wall)
      worst.cpu = Math.max(worst.cpu, best.cpu)
      report({ what: 'search', name, sort, found, wall: best.wall.toFixed(3), cpu: best.cpu.toFixed(3) })
    }
  }
  report({ what: 'slowest', wall: worst.wall.toFixed(3), cpu: worst.cpu.toFixed(3), target: TARGETS.searchSeconds })
  await index[Symbol.asyncDispose]()
  if (process.argv.includes('--alternatives')) alternatives()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** What was weighed: see docs/decisions/0050-sqlite.md. */
function alternatives() {
  const require = createRequire(new URL('../packages/catalog/package.json', import.meta.url))
  const { Database } = require('node-sqlite3-wasm')
  const measure = (what, schema, insert, valuesOf, queries, indexes = []) => {
    const file = join(folder, 'other')
    rmSync(file, { force: true })
    const database = new Database(file)
    database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; ${schema}`)
    const run = work => {
      const before = performance.now()
      const result = work()
      return { result, seconds: ((performance.now() - before) / 1000).toFixed(2) }
    }
    const load = run(() => {
      database.exec('BEGIN')
      const statement = database.prepare(insert)
      let id = 0
      for (const row of rows()) statement.run(valuesOf(row, id++))
      statement.finalize()
      database.exec('COMMIT')
      for (const sql of indexes) database.exec(sql)
    })
    report({ what: `alternative: ${what}, load`, seconds: load.seconds })
    for (const [name, sql] of queries) {
      const { result, seconds: time } = run(() => database.all(sql).length)
      report({ what: `alternative: ${what}, ${name}`, found: result, seconds: time })
    }
    database.close()
    report({ what: `alternative: ${what}, bytes a row`, bytes: (statSync(file).size / ROWS).toFixed(1) })
  }
  const table =
    'CREATE TABLE file(id INTEGER PRIMARY KEY, directory TEXT, name TEXT, size INT, modified INT, created INT, uid INT, mode INT)'
  const values = ({ directory, name, sizeBytes, modified, created, uid, mode }, id) => [
    id,
    directory.text,
    name.text,
    sizeBytes,
    modified,
    created,
    uid,
    mode,
  ]
  const queries = [
    ['LIKE on names, by size', "SELECT * FROM file WHERE name LIKE '%config%' ORDER BY size DESC LIMIT 10000"],
    ['rare, by time', "SELECT * FROM file WHERE name LIKE '%77777%' ORDER BY modified DESC LIMIT 10000"],
    ['by path', 'SELECT * FROM file ORDER BY directory DESC, name DESC LIMIT 10000'],
  ]
  measure('rows', table, 'INSERT INTO file VALUES (?,?,?,?,?,?,?,?)', values, queries)
  const columns = ['size', 'modified', 'created', 'uid', 'mode', 'directory, name']
  const indexes = columns.map((column, i) => `CREATE INDEX by_${i} ON file(${column})`)
  measure('rows, an index an order', table, 'INSERT INTO file VALUES (?,?,?,?,?,?,?,?)', values, queries, indexes)
  const fts = "CREATE VIRTUAL TABLE text USING fts5(name, content='', columnsize=0, detail=none, tokenize='trigram')"
  const match = [
    'trigrams of "журнал"',
    `SELECT rowid FROM text WHERE text MATCH '"жур" AND "урн" AND "рна" AND "нал"'`,
  ]
  measure('trigrams of names', fts, 'INSERT INTO text(rowid, name) VALUES (?,?)', ({ name }, id) => [id, name.text], [
    match,
  ])
}
