/** What the journal says of one thing that we made, or were about to make. @module */

/** Facts about it: JSON-safe, never secret. */
export type Facts = Readonly<Record<string, string | number | boolean | readonly string[]>>

/** One line of a journal. */
export type JournalLine =
  | { readonly type: 'run'; readonly installation: string; readonly run: string; readonly timeMs: number }
  | {
      readonly type: 'intent'
      readonly entry: number
      readonly kind: string
      readonly engine: string
      readonly timeMs: number
      readonly facts: Facts
    }
  | { readonly type: 'fact'; readonly entry: number; readonly facts: Facts }
  | { readonly type: 'done'; readonly entry: number }

/** An intent that was not ended. */
export interface PendingEntry {
  readonly run: string
  /** Counts up within its run: what was made later is undone first. */
  readonly entry: number
  /** What it is about; a kind has its undo in a table. */
  readonly kind: string
  /** The engine's base address. */
  readonly engine: string
  readonly timeMs: number
  /** Of the intent, and what was learned since. */
  readonly facts: Facts
}

/** A text among the facts. */
export const factOf = ({ facts }: Pick<PendingEntry, 'facts'>, name: string): string | undefined => {
  const value = facts[name]
  return typeof value === 'string' ? value : undefined
}

/** A list of texts among the facts; none when it isn't there. */
export const factsOf = ({ facts }: Pick<PendingEntry, 'facts'>, name: string): readonly string[] => {
  const value = facts[name]
  return Array.isArray(value) ? (value as readonly string[]) : []
}
