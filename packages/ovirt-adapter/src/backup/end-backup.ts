/** Ends the engine's backup of a machine: the last step of each, and the undo of one that was broken off. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { finalizeBackup, findBackup } from '../engine/resources/backups.ts'
import type { Backup } from '../engine/resources/backups.ts'
import { listVmSnapshots, removeVmSnapshot } from '../engine/resources/snapshots.ts'
import { waitFor } from '../engine/wait-for.ts'
import { factOf } from '../journal/entry.ts'
import type { JournalEntry } from '../journal/journal.ts'
import { CONFLICT_TIMEOUT_MS } from './settings.ts'

export interface EndOptions extends AbortOptions {
  readonly timeoutMs: number
  /** Of the hybrid engine, as the journal knows it. */
  readonly snapshotId?: string | undefined
}

/** Ticks of the engine are 10 to 60 s apart. */
const TICK_TIMEOUT_MS = 120_000

/** Also when it was purged meanwhile. */
const isOver = (backup: Backup | undefined): boolean =>
  backup === undefined || backup.phase === 'succeeded' || backup.phase === 'failed'

/**
 * Finalizes a backup and waits until it is over; asking for it twice does no harm. Its transfers must be finished.
 *
 * @returns the phase it ended in, `gone` when the engine no longer knows it
 * @throws GranaryError `GRANARY_TIMEOUT` when it isn't over in time, `GRANARY_REMOTE` when its snapshot stays
 */
export const endBackup = async (
  engine: Engine,
  vmId: string,
  backupId: string,
  { timeoutMs, snapshotId, signal }: EndOptions,
): Promise<'succeeded' | 'failed' | 'gone'> => {
  const read = async (): Promise<Backup | undefined> => await findBackup(engine, vmId, backupId, { signal })
  const first = await read()
  if (!isOver(first) && first?.phase !== 'finalizing') await finalize(engine, vmId, backupId, { signal })
  const last = await waitFor<Backup | undefined>(read, {
    clock: engine.clock,
    timeoutMs,
    what: `backup ${backupId} is over`,
    isDone: isOver,
    describe: backup => backup?.phase ?? 'gone',
    ...(first === undefined ? {} : { known: first }),
    signal,
  })
  if (snapshotId !== undefined) await removeLeftover(engine, vmId, snapshotId, { timeoutMs, signal })
  return last === undefined ? 'gone' : last.phase === 'succeeded' ? 'succeeded' : 'failed'
}

/**
 * Ends the backup of a journal's entry.
 *
 * @returns a warning when it takes too long or leaves something: then the entry stays for the next start
 */
export const endJournaled = async (
  engine: Engine,
  entry: JournalEntry,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<readonly string[]> => {
  const { pending } = entry
  const [vm, backup] = [factOf(pending, 'vm'), factOf(pending, 'backup')]
  if (vm === undefined || backup === undefined) return []
  try {
    await endBackup(engine, vm, backup, { timeoutMs, snapshotId: factOf(pending, 'snapshot') })
    await entry.end()
    return []
  } catch (error) {
    if (!isGranaryError(error)) throw error
    return [`the engine's backup ${backup} is not ended: ${error.message}`]
  }
}

/**
 * "No need to stop the backup again" and its like are no failures: the phase tells. A hybrid backup that was stopped stays
 * `ready` until the engine's next tick (CONTRACT §4.3).
 */
const finalize = async (engine: Engine, vmId: string, backupId: string, { signal }: AbortOptions): Promise<void> => {
  try {
    await finalizeBackup(engine, vmId, backupId, { conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal })
  } catch (error) {
    if (!isGranaryError(error) || ![400, 404, 500].includes(Number(error.detail['status']))) throw error
    await waitFor(async () => await findBackup(engine, vmId, backupId, { signal }), {
      clock: engine.clock,
      timeoutMs: TICK_TIMEOUT_MS,
      what: `backup ${backupId} is ending`,
      isDone: backup => isOver(backup) || backup?.phase === 'finalizing',
      signal,
    }).catch((late: unknown) => {
      throw isGranaryError(late) && late.code === 'GRANARY_TIMEOUT' ? error : late
    })
  }
}

/** A merge that fails leaves the snapshot, and the engine says `succeeded` all the same (event 10813). */
const removeLeftover = async (
  engine: Engine,
  vmId: string,
  snapshotId: string,
  { timeoutMs, signal }: AbortOptions & { timeoutMs: number },
): Promise<void> => {
  const isThere = async (): Promise<boolean> =>
    (await listVmSnapshots(engine, vmId, { signal })).some(({ id }) => id === snapshotId)
  if (!(await isThere())) return
  try {
    await removeVmSnapshot(engine, vmId, snapshotId, { conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal })
    await waitFor(isThere, {
      clock: engine.clock,
      timeoutMs,
      what: `snapshot ${snapshotId} is removed`,
      isDone: there => !there,
      signal,
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw new GranaryError('GRANARY_REMOTE', `snapshot ${snapshotId} of this backup could not be removed`, {
      detail: { vm: vmId, snapshot: snapshotId },
      cause: error,
      hint: 'remove it in the engine; `granary ovirt clean` tries again',
    })
  }
}
