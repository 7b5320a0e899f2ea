/**
 * Checkpoints that do not know all that was written since: those of a machine that was restored in place. The restore removes
 * them; until it has, no backup starts from them.
 *
 * @module
 */
import { factOf, factsOf } from '../journal/entry.ts'
import type { PendingEntry } from '../journal/entry.ts'
import type { Journal } from '../journal/journal.ts'

export const IN_PLACE_KIND = 'restore-in-place'

/** What an entry of a restore in place calls its machine, and the checkpoints it is to remove. */
export const VM_FACT = 'vm'
export const STALE_FACT = 'stale'

/** @returns ids; `all` while it is not known yet which they are */
export const staleCheckpoints = async (
  journal: Journal,
  { engine, vmId }: { readonly engine: string; readonly vmId: string },
): Promise<ReadonlySet<string> | 'all'> => {
  const restores = (await journal.allPending()).filter(
    entry => entry.kind === IN_PLACE_KIND && entry.engine === engine && factOf(entry, VM_FACT) === vmId,
  )
  if (restores.some(({ facts }) => facts[STALE_FACT] === undefined)) return 'all'
  return new Set(restores.flatMap((entry: PendingEntry) => factsOf(entry, STALE_FACT)))
}
