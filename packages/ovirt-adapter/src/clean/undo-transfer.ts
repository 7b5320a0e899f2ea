/** Ends a download that an earlier run had begun. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { finalizeDownload, findLost, waitUntilFinished } from '../backup/transfers.ts'
import { findBackup } from '../engine/resources/backups.ts'
import { findTransfer, isFinished } from '../engine/resources/transfers.ts'
import type { ImageTransfer } from '../engine/resources/transfers.ts'
import { factOf, factsOf } from '../journal/entry.ts'
import type { PendingEntry } from '../journal/entry.ts'
import type { Outcome, UndoContext } from './undo.ts'

export const undoTransfer = async (context: UndoContext): Promise<Outcome> => {
  const { engine, timeoutMs, isDry, signal } = context
  const found = await findOurs(context)
  if (found === undefined) return { kind: 'nothing', text: 'no transfer is open' }
  if (found === 'doubtful') {
    const disk = factOf(context.entry.pending, 'disk')
    return {
      kind: 'left',
      text: `disk ${disk} has transfers, and which one is ours is not known: none is touched`,
      hint: 'transfers that nobody uses end by themselves',
    }
  }
  if (!isDry) {
    await finalizeDownload(engine, found.id, { signal })
    await waitUntilFinished(engine, found.id, { timeoutMs, signal })
  }
  return { kind: 'undone', text: `transfer ${found.id} of disk ${found.diskId ?? '?'} is ended` }
}

/** By its id; without one, the answer was lost: then by disk, direction, and what was there before. */
const findOurs = async ({ engine, entry, signal }: UndoContext): Promise<ImageTransfer | 'doubtful' | undefined> => {
  const { pending } = entry
  const id = factOf(pending, 'transfer')
  if (id !== undefined) {
    const transfer = await findTransfer(engine, id, { signal })
    return transfer === undefined || isFinished(transfer) ? undefined : transfer
  }
  const diskId = factOf(pending, 'disk') ?? ''
  const lost = await findLost(engine, { diskId, before: factsOf(pending, 'before') }, { signal }).catch(
    (error: unknown) => {
      if (isGranaryError(error) && error.code === 'GRANARY_LOCKED') return 'doubtful' as const
      throw error
    },
  )
  if (lost === undefined || lost === 'doubtful') return lost
  return (await isBackupOpen(engine, pending, { signal })) ? lost : 'doubtful'
}

/** A disk in an open backup of ours is locked by it, so the one transfer there is belongs to it. Another may be anybody's. */
const isBackupOpen = async (
  engine: UndoContext['engine'],
  pending: PendingEntry,
  options: AbortOptions,
): Promise<boolean> => {
  const [vm, backup] = [factOf(pending, 'vm'), factOf(pending, 'backup')]
  if (vm === undefined || backup === undefined) return false
  const found = await findBackup(engine, vm, backup, options)
  return found !== undefined && found.phase !== 'succeeded' && found.phase !== 'failed'
}
