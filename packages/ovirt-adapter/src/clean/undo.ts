/**
 * What is done with what an earlier run left on an engine. A kind of entry has one undo; restores add theirs.
 *
 * @module
 */
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import type { JournalEntry } from '../journal/journal.ts'

/** What became of an entry. */
export type Outcome =
  /** It was there, and is put away. */
  | { readonly kind: 'undone'; readonly text: string }
  /** There is nothing (any more). */
  | { readonly kind: 'nothing'; readonly text: string }
  /** It may be somebody else's, or can be gone on with: it stays, and so does the entry. */
  | { readonly kind: 'left'; readonly text: string; readonly hint?: string }

export interface UndoContext extends AbortOptions {
  readonly engine: Engine
  readonly entry: JournalEntry
  /** How long the engine may take to end something. */
  readonly timeoutMs: number
  /** Look only: say what would be done, as if it were. */
  readonly isDry: boolean
}

export type Undo = (context: UndoContext) => Promise<Outcome>

/** By the entry's kind. */
export type UndoTable = Readonly<Record<string, Undo>>
