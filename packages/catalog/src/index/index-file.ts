/** The file of the index: one process at a time, made anew when it is damaged or of another version. @module */
import { closeSync, openSync, rmSync } from 'node:fs'
import { GranaryError, fromSystemError, loadNative } from '@granary/core'
import sqlite from 'node-sqlite3-wasm'
import type { Database } from 'node-sqlite3-wasm'

/** Of the tables below. An index of another version is made anew. */
const SCHEMA_VERSION = 1

const SCHEMA = `CREATE TABLE catalog(snapshot TEXT PRIMARY KEY, catalog TEXT NOT NULL, name TEXT NOT NULL, time_ms INTEGER NOT NULL,
    rows INTEGER NOT NULL, warnings INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE tree(id INTEGER PRIMARY KEY, snapshot TEXT NOT NULL, ordinal INTEGER NOT NULL, volume TEXT NOT NULL,
    UNIQUE(snapshot, ordinal));
  CREATE TABLE tree_page(tree INTEGER NOT NULL, position INTEGER NOT NULL, page INTEGER NOT NULL,
    PRIMARY KEY(tree, position)) WITHOUT ROWID;
  CREATE INDEX page_tree ON tree_page(page);
  CREATE TABLE page(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, rows INTEGER NOT NULL);
  CREATE TABLE piece(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
  PRAGMA user_version = ${SCHEMA_VERSION};`

/**
 * One process at a time. SQLite's own lock here is a folder that stays when a process is killed; the lock of the
 * operating system doesn't, and whoever holds it may remove the folder.
 */
export const lockIndex = async (path: string): Promise<number> => {
  const native = await loadNative()
  const guard = openPrivately(`${path}.guard`)
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

export const openOrMake = (path: string): Database => {
  try {
    return openDatabase(path)
  } catch (error) {
    if (!(error instanceof sqlite.SQLite3Error) && !(error instanceof OtherVersion)) throw error
    // Damaged, or of another version: it can be made again.
    for (const suffix of ['', '-journal', '.lock']) rmSync(`${path}${suffix}`, { recursive: true, force: true })
    return openDatabase(path)
  }
}

class OtherVersion extends Error {}

/** Names of files are nobody else's business. */
const openPrivately = (path: string): number => {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    throw fromSystemError(error, `opening the index ${path}`)
  }
}

const openDatabase = (path: string): Database => {
  closeSync(openPrivately(path))
  const database = new sqlite.Database(path)
  try {
    // Whoever is here holds the guard: SQLite need not lock and unlock for each statement.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768')
    const version = (database.get('PRAGMA user_version') as { user_version: number }).user_version
    if (version === 0) database.exec(`PRAGMA page_size = 32768; PRAGMA journal_mode = DELETE; BEGIN; ${SCHEMA} COMMIT`)
    else if (version !== SCHEMA_VERSION) throw new OtherVersion(`version ${version}`)
    else database.get('SELECT count(*) FROM catalog')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}
