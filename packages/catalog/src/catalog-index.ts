/**
 * The index: a file of SQLite with the pages of many catalogs, each page once. It holds nothing that the repository
 * doesn't, so it may be deleted at any time.
 *
 * @see docs/decisions/0050-sqlite.md
 * @module
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, rmSync } from 'node:fs'
import { GranaryError, isGranaryError, loadNative } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { listCatalogs, openDisk } from '@granary/dedup-store'
import type { CatalogSnapshot, Repository } from '@granary/dedup-store'
import sqlite from 'node-sqlite3-wasm'
import type { Database } from 'node-sqlite3-wasm'
import { COLUMNS, splitPage } from './format/page.ts'
import type { ColumnName } from './format/page.ts'
import { decodeCatalog } from './format/stream.ts'
import type { CatalogRecord, CatalogVolume } from './format/stream.ts'

/** Of the tables below. An index of another version is made anew. */
const SCHEMA_VERSION = 1

/** What is wrong with one catalog keeps no other from being searched. */
const PASSED_OVER: ReadonlySet<string> = new Set([
  'GRANARY_NOT_FOUND',
  'GRANARY_CORRUPT',
  'GRANARY_AUTHENTICATION',
  'GRANARY_UNSUPPORTED',
])

/** Pieces of one column lie side by side: number of the column × 2^32 + page. */
const COLUMN_STEP = 2 ** 32

const SCHEMA = `
  CREATE TABLE catalog(snapshot TEXT PRIMARY KEY, catalog TEXT NOT NULL, name TEXT NOT NULL, time_ms INTEGER NOT NULL,
    rows INTEGER NOT NULL, warnings INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE tree(id INTEGER PRIMARY KEY, snapshot TEXT NOT NULL, ordinal INTEGER NOT NULL, volume TEXT NOT NULL,
    UNIQUE(snapshot, ordinal));
  CREATE TABLE tree_page(tree INTEGER NOT NULL, position INTEGER NOT NULL, page INTEGER NOT NULL,
    PRIMARY KEY(tree, position)) WITHOUT ROWID;
  CREATE INDEX page_tree ON tree_page(page);
  CREATE TABLE page(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, rows INTEGER NOT NULL);
  CREATE TABLE piece(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
  PRAGMA user_version = ${SCHEMA_VERSION};`

/** A snapshot whose files are known. */
export interface IndexedSnapshot {
  readonly snapshot: string
  /** The series. */
  readonly name: string
  readonly timeMs: number
  readonly rows: number
  readonly warnings: number
}

/** The files of one volume of a snapshot. */
export interface IndexedTree {
  readonly id: number
  readonly snapshot: string
  readonly ordinal: number
  readonly volume: CatalogVolume
}

export interface PagePlace {
  readonly tree: number
  readonly position: number
}

export interface SyncReport {
  readonly added: number
  readonly removed: number
  /** Catalogs that can't be read: their snapshots aren't searched, until their files are listed anew. */
  readonly failed: readonly { readonly snapshot: string; readonly error: GranaryError }[]
}

export interface SyncOptions extends AbortOptions {
  /** Called before each catalog that is loaded. */
  readonly onCatalog?: (progress: { readonly snapshot: string; readonly done: number; readonly total: number }) => void
}

export class CatalogIndex implements AsyncDisposable {
  readonly #database: Database
  readonly #guard: number
  readonly #path: string

  private constructor(database: Database, guard: number, path: string) {
    this.#database = database
    this.#guard = guard
    this.#path = path
  }

  /**
   * Opens an index, or makes one. What stands there and is no index of this version, or is damaged, is made anew.
   *
   * @throws GranaryError `GRANARY_LOCKED` when another process has it open
   */
  static async open(path: string): Promise<CatalogIndex> {
    const guard = await lock(path)
    try {
      return new CatalogIndex(openOrMake(path), guard, path)
    } catch (error) {
      closeSync(guard)
      throw error
    }
  }

  /** What SQLite says, as an error of ours. */
  explain(error: unknown): unknown {
    if (!(error instanceof sqlite.SQLite3Error)) return error
    return new GranaryError('GRANARY_CORRUPT', `${this.#path}: ${error.message}`, {
      detail: { path: this.#path },
      cause: error,
      hint: 'delete the file: it is made again from the repository',
    })
  }

  /**
   * Brings the index up to the repository's catalogs: new ones are loaded, those that are gone are removed.
   *
   * @throws GranaryError `GRANARY_CORRUPT` when the index is damaged; what reading the repository throws
   */
  async sync(repository: Repository, options: SyncOptions = {}): Promise<SyncReport> {
    try {
      return await this.#sync(repository, options)
    } catch (error) {
      throw this.explain(error)
    }
  }

  async #sync(repository: Repository, { signal, onCatalog }: SyncOptions): Promise<SyncReport> {
    const wanted = new Map<string, CatalogSnapshot>() // The last one of each snapshot.
    const onDamaged = (): void => undefined // Whether it was a catalog isn't known, and the check tells of it.
    for (const catalog of await listCatalogs(repository.context, { signal, onDamaged }))
      wanted.set(catalog.catalogOf, catalog)
    const known = this.#database.all('SELECT snapshot, catalog FROM catalog') as { snapshot: string; catalog: string }[]
    const stale = known.filter(({ snapshot, catalog }) => wanted.get(snapshot)?.id !== catalog)
    for (const { snapshot } of stale) this.#remove(snapshot)
    const have = new Set(known.filter(row => !stale.includes(row)).map(({ snapshot }) => snapshot))
    const missing = [...wanted.values()].filter(({ catalogOf }) => !have.has(catalogOf))
    const failed: { snapshot: string; error: GranaryError }[] = []
    for (const [done, catalog] of missing.entries()) {
      onCatalog?.({ snapshot: catalog.catalogOf, done, total: missing.length })
      try {
        await this.#loadFrom(repository, catalog, { signal })
      } catch (error) {
        if (!isGranaryError(error) || !PASSED_OVER.has(error.code)) throw error
        // Forgotten since it was listed: there is nothing to tell.
        if (error.code !== 'GRANARY_NOT_FOUND') failed.push({ snapshot: catalog.catalogOf, error })
      }
    }
    return { added: missing.length - failed.length, removed: stale.length, failed }
  }

  async #loadFrom(repository: Repository, catalog: CatalogSnapshot, { signal }: AbortOptions): Promise<void> {
    await using disk = await openDisk(repository, catalog.id, { signal })
    const { catalogOf: snapshot, id, name, timeMs } = catalog
    await this.load({ snapshot, catalog: id, name, timeMs }, decodeCatalog(disk, { signal }))
  }

  /** Loads one catalog, all or nothing. */
  async load(
    { snapshot, catalog, name, timeMs }: { snapshot: string; catalog: string; name: string; timeMs: number },
    records: AsyncIterable<CatalogRecord> | Iterable<CatalogRecord>,
  ): Promise<void> {
    await this.#transaction(async () => {
      const loader = new Loader(this.#database, snapshot)
      try {
        for await (const record of records) {
          loader.add(record)
          if (record.kind !== 'end') continue
          const { rows, warnings } = record.counts
          const values = [snapshot, catalog, name, timeMs, rows, warnings]
          this.#database.run('INSERT INTO catalog VALUES (?, ?, ?, ?, ?, ?)', values)
        }
      } finally {
        loader.close()
      }
    })
  }

  #remove(snapshot: string): void {
    this.#database.exec('BEGIN')
    try {
      this.#database.run('DELETE FROM tree_page WHERE tree IN (SELECT id FROM tree WHERE snapshot = ?)', [snapshot])
      this.#database.run('DELETE FROM tree WHERE snapshot = ?', [snapshot])
      this.#database.run('DELETE FROM catalog WHERE snapshot = ?', [snapshot])
      this.#database.exec('DELETE FROM page WHERE id NOT IN (SELECT page FROM tree_page)')
      this.#database.exec(`DELETE FROM piece WHERE id % ${COLUMN_STEP} NOT IN (SELECT id FROM page)`)
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }

  async #transaction(work: () => Promise<void>): Promise<void> {
    this.#database.exec('BEGIN')
    try {
      await work()
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** Oldest first. */
  snapshots(): IndexedSnapshot[] {
    return this.#database.all(
      'SELECT snapshot, name, time_ms AS timeMs, rows, warnings FROM catalog ORDER BY time_ms, snapshot',
    ) as unknown as IndexedSnapshot[]
  }

  trees(snapshots: ReadonlySet<string>): IndexedTree[] {
    const rows = this.#database.all('SELECT id, snapshot, ordinal, volume FROM tree ORDER BY snapshot, ordinal')
    return (rows as { id: number; snapshot: string; ordinal: number; volume: string }[])
      .filter(({ snapshot }) => snapshots.has(snapshot))
      .map(row => ({ ...row, volume: JSON.parse(row.volume) as CatalogVolume }))
  }

  /** Where each page stands in the trees, ascending by page. */
  *places(trees: readonly IndexedTree[]): Generator<{ readonly page: number; readonly places: readonly PagePlace[] }> {
    const wanted = new Set(trees.map(({ id }) => id))
    const statement = this.#database.prepare('SELECT page, tree, position FROM tree_page ORDER BY page')
    try {
      let current: { page: number; places: PagePlace[] } | undefined
      for (const { page, tree, position } of statement.iterate() as Iterable<{
        page: number
        tree: number
        position: number
      }>) {
        if (!wanted.has(tree)) continue
        if (current?.page !== page) {
          if (current !== undefined) yield current
          current = { page, places: [] }
        }
        current.places.push({ tree, position })
      }
      if (current !== undefined) yield current
    } finally {
      statement.finalize()
    }
  }

  pageAt({ tree, position }: PagePlace): number | undefined {
    const row = this.#database.get('SELECT page FROM tree_page WHERE tree = ? AND position = ?', [tree, position])
    return row === null ? undefined : (row['page'] as number)
  }

  /** Reads columns of pages. */
  pieces(): { read(page: number, column: ColumnName): Bytes } & Disposable {
    const statement = this.#database.prepare('SELECT bytes FROM piece WHERE id = ?')
    return {
      read: (page, column) => (statement.get([pieceId(page, column)]) as { bytes: Bytes }).bytes,
      [Symbol.dispose]: () => statement.finalize(),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#database.isOpen) return
    this.#database.close()
    closeSync(this.#guard)
  }
}

const columnNumbers = new Map<string, number>(COLUMNS.map(({ name }, number) => [name, number]))

const pieceId = (page: number, column: ColumnName): number => (columnNumbers.get(column) as number) * COLUMN_STEP + page

/** Puts the records of one catalog into the tables. */
class Loader {
  readonly #database: Database
  readonly #snapshot: string
  readonly #find
  readonly #addPage
  readonly #addPiece
  readonly #addPlace
  #tree = 0
  #ordinal = 0
  #position = 0

  constructor(database: Database, snapshot: string) {
    this.#database = database
    this.#snapshot = snapshot
    this.#find = database.prepare('SELECT id FROM page WHERE hash = ?')
    this.#addPage = database.prepare('INSERT INTO page(hash, rows) VALUES (?, ?)')
    this.#addPiece = database.prepare('INSERT INTO piece(id, bytes) VALUES (?, ?)')
    this.#addPlace = database.prepare('INSERT INTO tree_page VALUES (?, ?, ?)')
  }

  add(record: CatalogRecord): void {
    if (record.kind === 'volume') {
      const values = [this.#snapshot, this.#ordinal++, JSON.stringify(record.volume)]
      this.#tree = Number(
        this.#database.run('INSERT INTO tree(snapshot, ordinal, volume) VALUES (?, ?, ?)', values).lastInsertRowid,
      )
      this.#position = 0
    } else if (record.kind === 'page') this.#addPlace.run([this.#tree, this.#position++, this.#pageOf(record.page)])
  }

  #pageOf(bytes: Bytes): number {
    const hash = new Uint8Array(createHash('sha256').update(bytes).digest())
    const known = this.#find.get([hash])
    if (known !== null) return known['id'] as number
    const { rows, columns } = splitPage(bytes)
    const page = Number(this.#addPage.run([hash, rows]).lastInsertRowid)
    for (const { name } of COLUMNS) this.#addPiece.run([pieceId(page, name), columns[name]])
    return page
  }

  close(): void {
    for (const statement of [this.#find, this.#addPage, this.#addPiece, this.#addPlace]) statement.finalize()
  }
}

/**
 * One process at a time. SQLite's own lock here is a folder that stays when a process is killed; the lock of the
 * operating system doesn't, and whoever holds it may remove the folder.
 */
const lock = async (path: string): Promise<number> => {
  const native = await loadNative()
  const guard = openSync(`${path}.guard`, 'a', 0o600)
  if (native?.flock(guard, 'exclusive') === false) {
    closeSync(guard)
    throw new GranaryError('GRANARY_LOCKED', `${path} is in use by another process`, {
      detail: { path },
      retryable: true,
      hint: 'wait for it, or name another file with --index',
    })
  }
  if (native !== undefined) rmSync(`${path}.lock`, { recursive: true, force: true })
  return guard
}

const openOrMake = (path: string): Database => {
  try {
    return openDatabase(path)
  } catch {
    // Damaged, or of another version: it can be made again.
    for (const suffix of ['', '-journal', '.lock']) rmSync(`${path}${suffix}`, { recursive: true, force: true })
    return openDatabase(path)
  }
}

const openDatabase = (path: string): Database => {
  closeSync(openSync(path, 'a', 0o600)) // Names of files are nobody else's business.
  const database = new sqlite.Database(path)
  try {
    // Whoever is here holds the guard: SQLite need not lock and unlock for each statement.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768')
    const version = (database.get('PRAGMA user_version') as { user_version: number }).user_version
    if (version === 0) database.exec(`PRAGMA page_size = 32768; PRAGMA journal_mode = DELETE; BEGIN; ${SCHEMA} COMMIT`)
    else if (version !== SCHEMA_VERSION) throw new Error(`version ${version}`)
    else database.get('SELECT count(*) FROM catalog')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}
