/** Starts the engine's backup of a machine and waits until its disks can be read. @module */
import { randomUUID } from 'node:crypto'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { addBackup, findBackup, listBackupDisks } from '../engine/resources/backups.ts'
import type { Backup } from '../engine/resources/backups.ts'
import type { Disk, DiskAttachment } from '../engine/resources/disks.ts'
import { FULL_BACKUP_NEEDED, listEvents } from '../engine/resources/events.ts'
import type { Vm } from '../engine/resources/vms.ts'
import type { Json } from '../engine/json.ts'
import { waitFor } from '../engine/wait-for.ts'
import type { JournalEntry } from '../journal/journal.ts'
import { endJournaled } from './end-backup.ts'
import { findLostBackup } from './find-lost-backup.ts'
import { describeOwner } from './ownership.ts'
import { CONFLICT_TIMEOUT_MS } from './settings.ts'
import type { BackupContext } from './settings.ts'

export interface StartedBackup {
  readonly backup: Backup
  readonly entry: JournalEntry
  /** What the engine took. */
  readonly disks: readonly Disk[]
}

export interface StartOptions extends AbortOptions {
  readonly disks: readonly DiskAttachment[]
  readonly fromCheckpointId?: string | undefined
  readonly requireConsistency: boolean
}

/**
 * POSTs a backup with an id of our own and waits until it is `ready`; a failed one is ended here.
 *
 * @throws GranaryError `GRANARY_REMOTE` with `detail.phase` when it failed before it was ready
 */
export const startBackup = async (context: BackupContext, vm: Vm, options: StartOptions): Promise<StartedBackup> => {
  const { engine, journal, repository, settings } = context
  const { signal } = options
  const id = randomUUID()
  const description = describeOwner(journal, repository.config.id, id.slice(0, 8))
  const entry = await journal.begin('backup', engine.base, { vm: vm.id, vmName: vm.name, backup: id, description })
  const posted = await postBackup(context, vm, { ...options, id, description }).catch(async (error: unknown) => {
    if (isRefused(error)) await entry.end()
    throw error
  })
  try {
    await entry.learn({ backup: posted.id, ...snapshotFact(posted) })
    const backup = await waitUntilReady(context, vm, {
      posted,
      entry,
      timeoutMs: settings.backupStartMs,
      signal,
    })
    checkStarted(backup, vm, options)
    return { backup, entry, disks: await listBackupDisks(engine, vm.id, backup.id, { signal }) }
  } catch (error) {
    await endJournaled(engine, entry, { timeoutMs: settings.backupFinalizeMs }).catch(() => undefined)
    throw error
  }
}

/** The engine said no: there is nothing to undo. */
const isRefused = (error: unknown): boolean =>
  isGranaryError(error) && [400, 403, 404, 409].includes(Number(error.detail['status']))

const postBackup = async (
  { engine }: BackupContext,
  vm: Vm,
  options: StartOptions & { readonly id: string; readonly description: string },
): Promise<Backup> => {
  const { disks, fromCheckpointId, requireConsistency, id, description, signal } = options
  const body = {
    id,
    description,
    ...(fromCheckpointId === undefined ? {} : { from_checkpoint_id: fromCheckpointId }),
    disks: { disk: disks.map(({ disk }) => ({ id: disk.id })) },
  }
  // On a hybrid engine only the legacy way honours the wish; elsewhere the parameter changes nothing.
  const query = requireConsistency && vm.status === 'up' ? { require_consistency: true, legacy: true } : {}
  const find = async (): Promise<Json | undefined> => {
    const found = await findLostBackup(engine, vm.id, { id, description, signal })
    return found === undefined ? undefined : await engine.find(`/vms/${vm.id}/backups/${found.id}`, { signal })
  }
  return await addBackup(engine, vm.id, body, { query, find, conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal })
}

const snapshotFact = ({ snapshotId }: Backup): { snapshot?: string } =>
  snapshotId === undefined ? {} : { snapshot: snapshotId }

const waitUntilReady = async (
  { engine }: BackupContext,
  vm: Vm,
  { posted, entry, timeoutMs, signal }: AbortOptions & { posted: Backup; entry: JournalEntry; timeoutMs: number },
): Promise<Backup> => {
  const { id } = posted
  const read = async (): Promise<Backup | undefined> => {
    const backup = await findBackup(engine, vm.id, id, { signal })
    // From here on the snapshot is known to be ours, whatever happens.
    if (backup?.snapshotId !== undefined && entry.pending.facts['snapshot'] !== backup.snapshotId)
      await entry.learn({ snapshot: backup.snapshotId })
    return backup
  }
  const isDone = (backup: Backup | undefined): boolean =>
    !['initializing', 'starting'].includes(backup?.phase ?? 'gone')
  const what = `the backup of ${vm.name} is ready`
  const describe = (backup: Backup | undefined): string => backup?.phase ?? 'gone'
  const backup = await waitFor(read, {
    clock: engine.clock,
    timeoutMs,
    what,
    isDone,
    describe,
    known: posted,
    signal,
  })
  if (backup?.phase === 'ready') return backup
  throw await failedToStart(engine, vm, id, backup?.phase ?? 'gone')
}

/** Reads what the engine noted, for people and for the choice of what to do next. */
const failedToStart = async (
  engine: BackupContext['engine'],
  vm: Vm,
  id: string,
  phase: string,
): Promise<GranaryError> => {
  const events = await listEvents(engine, { search: `vm.name=${vm.name}`, most: 20 }).catch(() => [])
  const bad = events.filter(({ severity, code }) => severity !== 'normal' || code === FULL_BACKUP_NEEDED)
  const said = bad.slice(0, 3).map(({ code, description }) => `${description} (event ${code})`)
  return new GranaryError('GRANARY_REMOTE', [`the engine's backup of ${vm.name} is ${phase}`, ...said].join('; '), {
    detail: { vm: vm.name, backup: id, phase },
    hint: "see the engine's events of this machine",
  })
}

/** What the engine made is held against what was asked. */
const checkStarted = (backup: Backup, vm: Vm, { requireConsistency, fromCheckpointId }: StartOptions): void => {
  if (requireConsistency && vm.status === 'up' && backup.snapshotId !== undefined) {
    throw new GranaryError(
      'GRANARY_UNSUPPORTED',
      `${vm.name}: the engine backs it up by a snapshot, which does not tell whether file systems were frozen`,
      {
        detail: { vm: vm.name },
        hint: 'leave out the requirement, or lower the compatibility level of the machine to 4.6',
      },
    )
  }
  if (
    fromCheckpointId !== undefined &&
    backup.fromCheckpointId !== undefined &&
    backup.fromCheckpointId !== fromCheckpointId
  ) {
    throw new GranaryError(
      'GRANARY_PROTOCOL',
      `${vm.name}: asked for changes since checkpoint ${fromCheckpointId}, the engine gives those since ${backup.fromCheckpointId}`,
      { detail: { vm: vm.name } },
    )
  }
}
