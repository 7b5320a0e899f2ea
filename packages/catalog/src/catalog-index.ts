/**
 * The index: a file of SQLite with the pages of many catalogs, each page once. It holds nothing that the repository
 * doesn't, so it may be deleted at any time.
 *
 * @see docs/decisions/0050-sqlite.md
 * @module
 */
import { closeSync } from 'node:fs'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { listCatalogs, openDisk } from '@granary/dedup-store'
import type { CatalogSnapshot, Repository } from '@granary/dedup-store'
import sqlite from 'node-sqlite3-wasm'
import type { Database } from 'node-sqlite3-wasm'
import type { ColumnName } from './format/page.ts'
import { decodeCatalog } from './format/stream.ts'
import type { CatalogRecord, CatalogVolume } from './format/stream.ts'
import { lockIndex, openOrMake } from './index/index-file.ts'
import { COLUMN_STEP, Loader, pieceId } from './index/loader.ts'

/** What is wrong with one catalog keeps no other from being searched. */
const PASSED_OVER: ReadonlySet<string> = new Set([
  'GRANARY_NOT_FOUND',
  'GRANARY_CORRUPT',
  'GRANARY_AUTHENTICATION',
  'GRANARY_UNSUPPORTED',
])

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
   * @throws GranaryError `GRANARY_LOCKED` when another process has it open, `GRANARY_PERMISSION`, `GRANARY_NOT_FOUND` and the
   * like when its file can't be opened
   */
  static async open(path: string): Promise<CatalogIndex> {
    const guard = await lockIndex(path)
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
    return this.#damaged(error.message, error)
  }

  #damaged(words: string, cause?: unknown): GranaryError {
    return new GranaryError('GRANARY_CORRUPT', `${this.#path}: ${words}`, {
      detail: { path: this.#path },
      ...(cause === undefined ? {} : { cause }),
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
    let added = 0
    for (const [done, catalog] of missing.entries()) {
      onCatalog?.({ snapshot: catalog.catalogOf, done, total: missing.length })
      try {
        await this.#loadFrom(repository, catalog, { signal })
        added++
      } catch (error) {
        if (!isGranaryError(error) || !PASSED_OVER.has(error.code)) throw error
        // Forgotten since it was listed: there is nothing to tell.
        if (error.code !== 'GRANARY_NOT_FOUND') failed.push({ snapshot: catalog.catalogOf, error })
      }
    }
    return { added, removed: stale.length, failed }
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
      read: (page, column) => {
        const piece = statement.get([pieceId(page, column)])
        if (piece === null) throw this.#damaged(`column ${column} of page ${page} is missing`)
        return piece['bytes'] as Bytes
      },
      [Symbol.dispose]: () => statement.finalize(),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#database.isOpen) return
    this.#database.close()
    closeSync(this.#guard)
  }
}
