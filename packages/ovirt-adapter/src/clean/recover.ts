/**
 * Puts away what runs that died left on engines: at every start, and on demand. Last made, first undone; what is not certainly
 * ours is told and not touched.
 *
 * @see docs/ovirt-adapter.md, "After a crash"
 * @module
 */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import type { PendingEntry } from '../journal/entry.ts'
import type { Journal, JournalEntry } from '../journal/journal.ts'
import { undoProbe } from '../check/deep.ts'
import { FILES_UNDO } from '../files/eject-files.ts'
import { HOST_UNDO } from '../host/journaled.ts'
import { undoBackup } from './undo-backup.ts'
import { undoTransfer } from './undo-transfer.ts'
import type { Outcome, UndoTable } from './undo.ts'

/** Of backups and checks. */
export const BACKUP_UNDO: UndoTable = {
  backup: undoBackup,
  transfer: undoTransfer,
  probe: undoProbe,
  ...HOST_UNDO,
  ...FILES_UNDO,
}

export interface RecoverOptions extends AbortOptions {
  readonly engine: Engine
  readonly journal: Journal
  /** @default BACKUP_UNDO */
  readonly undo?: UndoTable
  /** How long the engine may take to end one thing. @default 600_000 */
  readonly timeoutMs?: number
  /** Say what would be done. @default false */
  readonly isDry?: boolean
}

export interface Recovered {
  readonly entry: PendingEntry
  readonly outcome: Outcome | { readonly kind: 'failed'; readonly text: string; readonly hint?: string }
}

/** What it couldn't put away stays in the journal, and is tried again by the next start. */
export const recover = async (options: RecoverOptions): Promise<readonly Recovered[]> => {
  const { journal, engine } = options
  const done: Recovered[] = []
  for (const run of await journal.abandoned()) {
    await using held = run
    // Entries of another engine wait for a start with that engine.
    const entries = held.entries.filter(({ pending }) => pending.engine === engine.base).toReversed()
    for (const entry of entries) done.push(await recoverOne(entry, options))
  }
  return done
}

const recoverOne = async (
  entry: JournalEntry,
  { engine, undo = BACKUP_UNDO, timeoutMs = 600_000, isDry = false, signal }: RecoverOptions,
): Promise<Recovered> => {
  const { pending } = entry
  const undoIt = undo[pending.kind]
  if (undoIt === undefined) {
    const text = `this version does not know how to undo a ${pending.kind}`
    return {
      entry: pending,
      outcome: { kind: 'left', text, hint: 'run `granary ovirt clean` of the version that made it' },
    }
  }
  try {
    const outcome = await undoIt({ engine, entry, timeoutMs, isDry, signal })
    if (outcome.kind !== 'left' && !isDry) await entry.end()
    return { entry: pending, outcome }
  } catch (error) {
    signal?.throwIfAborted()
    if (!isGranaryError(error)) throw error
    const hint = error.hint === undefined ? {} : { hint: error.hint }
    return { entry: pending, outcome: { kind: 'failed', text: error.message, ...hint } }
  }
}
