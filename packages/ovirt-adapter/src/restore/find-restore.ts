/** Restores that broke off, as the journal has them. @module */
import { GranaryError } from '@granary/core'
import { IN_PLACE_KIND } from '../backup/stale-checkpoints.ts'
import { factOf } from '../journal/entry.ts'
import type { PendingEntry } from '../journal/entry.ts'
import type { AbandonedRun, Journal, JournalEntry } from '../journal/journal.ts'
import { RESTORE_KIND } from './restore-state.ts'

const isRestore = ({ kind }: PendingEntry): boolean => kind === RESTORE_KIND || kind === IN_PLACE_KIND

/** Held until it is closed: nobody else goes on with it meanwhile. */
export interface BrokenRestore extends AsyncDisposable {
  readonly entry: JournalEntry
  readonly snapshotId: string
  readonly isInPlace: boolean
  readonly note: string
}

/**
 * @param id as the failure named it, or a unique beginning
 * @throws GranaryError `GRANARY_NOT_FOUND`, with the ids there are; `GRANARY_INVALID_ARGUMENT` when several begin so
 */
export const findBrokenRestore = async (journal: Journal, id: string): Promise<BrokenRestore> => {
  const runs = await journal.abandoned()
  const found = runs.flatMap(run =>
    run.entries.filter(({ pending }) => isRestore(pending)).map(entry => ({ run, entry })),
  )
  const idOf = (entry: JournalEntry): string => factOf(entry.pending, 'restore') ?? ''
  const matching = found.filter(({ entry }) => id !== '' && idOf(entry).startsWith(id))
  const [chosen] = matching
  const isOne = chosen !== undefined && matching.length === 1
  await releaseOthers(runs, isOne ? chosen.run : undefined)
  if (isOne) return brokenRestore(chosen.run, chosen.entry)
  const known = found.map(({ entry }) => idOf(entry)).join(', ')
  if (matching.length > 1)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `several restores begin with ${id}: ${known}`)
  throw new GranaryError('GRANARY_NOT_FOUND', `no restore ${id} waits to be resumed; there are ${known || 'none'}`, {
    detail: { restore: id, known },
    hint: 'one that runs, or belongs to another journal_folder, is not seen here',
  })
}

const brokenRestore = (run: AbandonedRun, entry: JournalEntry): BrokenRestore => ({
  entry,
  snapshotId: factOf(entry.pending, 'snapshot') ?? '',
  isInPlace: entry.pending.kind === IN_PLACE_KIND,
  note: factOf(entry.pending, 'note') ?? '',
  [Symbol.asyncDispose]: async () => await run[Symbol.asyncDispose](),
})

const releaseOthers = async (runs: readonly AbandonedRun[], kept: AbandonedRun | undefined): Promise<void> => {
  for (const run of runs) if (run !== kept) await run[Symbol.asyncDispose]()
}
