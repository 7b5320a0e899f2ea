/** Puts the records of one catalog into the tables of the index. @module */
import { createHash } from 'node:crypto'
import type { Bytes } from '@granary/core'
import type { Database } from 'node-sqlite3-wasm'
import { COLUMNS, splitPage } from '../format/page.ts'
import type { ColumnName } from '../format/page.ts'
import type { CatalogRecord } from '../format/stream.ts'

/** Pieces of one column lie side by side: number of the column × 2^32 + page. */
export const COLUMN_STEP = 2 ** 32

const columnNumbers = new Map<string, number>(COLUMNS.map(({ name }, number) => [name, number]))

export const pieceId = (page: number, column: ColumnName): number =>
  (columnNumbers.get(column) as number) * COLUMN_STEP + page

/** Pages that the index has already are only pointed to. */
export class Loader {
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
