/** Ends a backup of the engine that an earlier run had begun. @module */
import { endBackup } from '../backup/end-backup.ts'
import { findLostBackup } from '../backup/find-lost-backup.ts'
import { listVmSnapshots } from '../engine/resources/snapshots.ts'
import { factOf } from '../journal/entry.ts'
import type { Outcome, UndoContext } from './undo.ts'

export const undoBackup = async (context: UndoContext): Promise<Outcome> => {
  const { engine, entry, timeoutMs, isDry, signal } = context
  const [vm = '', name = vm] = [factOf(entry.pending, 'vm'), factOf(entry.pending, 'vmName')]
  const { id, isOver, snapshotId } = await lookFor(context, vm)
  if (isOver && snapshotId === undefined) return { kind: 'nothing', text: `no backup of ${name} is open` }
  if (!isDry) {
    if (snapshotId !== undefined) await entry.learn({ snapshot: snapshotId })
    await endBackup(engine, vm, id, { timeoutMs, snapshotId, signal })
  }
  return {
    kind: 'undone',
    text: isOver ? `snapshot ${snapshotId} of ${name} is removed` : `backup ${id} of ${name} is ended`,
  }
}

/** What is left of it. `snapshotId` is there as long as the snapshot is. */
const lookFor = async (
  { engine, entry, signal }: UndoContext,
  vm: string,
): Promise<{ id: string; isOver: boolean; snapshotId: string | undefined }> => {
  const { pending } = entry
  const id = factOf(pending, 'backup') ?? ''
  const description = factOf(pending, 'description') ?? ''
  const found = await findLostBackup(engine, vm, { id, description, signal })
  // Ours only as the journal, or the backup that is ours, names it.
  const known = factOf(pending, 'snapshot') ?? found?.snapshotId
  const isLeft = known !== undefined && (await listVmSnapshots(engine, vm, { signal })).some(one => one.id === known)
  return {
    id: found?.id ?? id,
    isOver: found === undefined || found.phase === 'succeeded' || found.phase === 'failed',
    snapshotId: isLeft ? known : undefined,
  }
}
