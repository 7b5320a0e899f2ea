/**
 * Backups from POST to their end, tick by tick: live with scratch disks, cold, and hybrid by a snapshot.
 *
 * @see CONTRACT §4.2, §4.3
 * @module
 */
import { randomUUID } from 'node:crypto'
import { isGranaryError } from '@granary/core'
import { operationFailed } from '../http/api-error.ts'
import type { Backup, Vm } from '../model/state.ts'
import type { MomentName } from '../model/moments.ts'
import type { World } from '../model/world.ts'
import { isAtLeast } from '../profiles.ts'
import type { BackupPlan } from './backup-plan.ts'
import { forgetCheckpoint, isInconsistent, recordCheckpoint, wipeCheckpoints } from './checkpoints.ts'
import { EVENT, addEvent, endJob, startJob } from './events.ts'
import { freezeDisks, releaseDisks } from './freeze.ts'
import { addScratchDisks, removeScratchDisks } from './scratch-disks.ts'
import { takeBackupSnapshot, removeBackupSnapshot } from './backup-snapshot.ts'
import { activeBackup } from './locks.ts'
import { TICK_MS, after, purgeAfter } from './ticker.ts'

const KEEP_MS = { succeeded: 15 * 60_000, failed: 30 * 60_000 } as const

export const beginBackup = (world: World, vm: Vm, plan: BackupPlan, ownId: string | undefined): Backup => {
  const now = world.clock.now()
  const id = (isAtLeast(world.profile, 4, 5, 0) ? ownId?.toLowerCase() : undefined) ?? randomUUID()
  const backup: Backup = {
    id,
    engine: plan.engine,
    description: plan.description,
    fromCheckpointId: plan.fromCheckpointId,
    toCheckpointId: undefined,
    phase: 'initializing',
    createdMs: now,
    modifiedMs: now,
    hostId: plan.engine === 'live' ? vm.hostId : undefined,
    snapshotId: undefined,
    requireConsistency: plan.requireConsistency,
    isConsistent: false,
    disks: plan.disks.map(({ disk, mode }) => ({ diskId: disk.id, mode, scratchId: undefined, frozen: undefined })),
    jobId: startJob(world, `Backing up VM ${String(vm.config['name'])}`),
    correlationId: plan.correlationId,
    isStopping: false,
    isBroken: false,
  }
  vm.backups.set(id, backup)
  if (plan.engine !== 'hybrid') for (const { disk } of plan.disks) disk.locks.add(`backup ${id}`)
  tell(world, vm, backup, EVENT.backupStarted, 'normal', 'started')
  after(world, 1_000, async () => {
    await reach(world, vm, backup, 'backup-posted')
    await prepare(world, vm, backup)
  })
  return backup
}

const reach = async (world: World, vm: Vm, backup: Backup, name: MomentName): Promise<void> =>
  await world.moments.reach({ name, vmId: vm.id, backupId: backup.id })

const tell = (
  world: World,
  vm: Vm,
  backup: Backup,
  code: number,
  severity: 'normal' | 'warning' | 'error',
  what: string,
): void => {
  addEvent(world, code, severity, `Backup ${backup.id} for VM ${String(vm.config['name'])} ${what}.`, {
    vm: { id: vm.id },
    correlation_id: backup.correlationId,
  })
}

const setPhase = (world: World, backup: Backup, phase: Backup['phase']): void => {
  backup.phase = phase
  backup.modifiedMs = world.clock.now()
}

/** Over already: failed while it waited for its turn. */
const isOver = ({ phase }: Backup): boolean => phase === 'failed' || phase === 'succeeded'

/** What comes before the start; a backup that was finalized meanwhile fails. */
const prepare = async (world: World, vm: Vm, backup: Backup): Promise<void> => {
  if (isOver(backup)) return
  if (backup.isStopping) return await fail(world, vm, backup, 'was stopped before it was ready')
  if (backup.engine === 'live') {
    tell(world, vm, backup, EVENT.scratchStarted, 'normal', 'creates scratch disks')
    const problem = addScratchDisks(world, backup)
    if (problem !== undefined) {
      tell(world, vm, backup, EVENT.scratchFailed, 'error', `could not create scratch disks: ${problem}`)
      return await fail(world, vm, backup, problem)
    }
    tell(world, vm, backup, EVENT.scratchCreated, 'normal', 'created scratch disks')
  }
  after(world, TICK_MS, async () => {
    if (isOver(backup)) return
    if (backup.isStopping) return await fail(world, vm, backup, 'was stopped before it was ready')
    setPhase(world, backup, 'starting')
    const problem = await start(world, vm, backup)
    if (problem !== undefined) return await fail(world, vm, backup, problem)
    await reach(world, vm, backup, 'backup-frozen')
    after(world, TICK_MS, async () => await becomeReady(world, vm, backup))
  })
}

/** The moment that the content of the backup is of. @returns what went wrong */
const start = async (world: World, vm: Vm, backup: Backup): Promise<string | undefined> => {
  if (backup.engine === 'live' && vm.status !== 'up') return 'VM is not running'
  if (backup.engine === 'cold' && vm.status !== 'down') return 'VM is running'
  const canFreeze = vm.status === 'up' && vm.hasAgent && !vm.isFrozen
  if (backup.requireConsistency && !canFreeze) return 'Failed freeze VM'
  backup.isConsistent = canFreeze
  if (backup.engine !== 'hybrid' && isInconsistent(world, vm, backup.fromCheckpointId)) {
    const message = `Incremental backup ${backup.id} of VM ${String(vm.config['name'])} failed. Full VM backup is needed.`
    addEvent(world, EVENT.fullBackupNeeded, 'error', message, {
      vm: { id: vm.id },
      correlation_id: backup.correlationId,
    })
    wipeCheckpoints(world, vm)
    return 'checkpoints could not be redefined'
  }
  try {
    const checkpointId = randomUUID()
    if (backup.engine === 'hybrid') await takeBackupSnapshot(world, vm, backup, checkpointId)
    else await freezeDisks(world, vm, backup, checkpointId)
    recordCheckpoint(world, vm, backup, checkpointId)
    return undefined
  } catch (error) {
    if (!isGranaryError(error)) throw error
    return error.message
  }
}

const becomeReady = async (world: World, vm: Vm, backup: Backup): Promise<void> => {
  if (isOver(backup)) return
  if (backup.isStopping) return await fail(world, vm, backup, 'was stopped before it was ready')
  setPhase(world, backup, 'ready')
  backup.toCheckpointId = vm.checkpoints.find(({ backupId }) => backupId === backup.id)?.id
  tell(world, vm, backup, EVENT.backupSucceeded, 'normal', 'is ready')
  await reach(world, vm, backup, 'backup-ready')
}

/**
 * Ends a backup, or aborts one that is not ready: there is no other way.
 *
 * @throws ApiError 409 while transfers are open, 400 when it is ending or over already
 */
export const finalizeBackup = (world: World, vm: Vm, backup: Backup): void => {
  if (backup.isStopping || backup.phase === 'finalizing' || backup.phase === 'succeeded' || backup.phase === 'failed')
    throw operationFailed(400, 'Cannot stop VM backup. There is no need to stop the backup again.')
  const isOpen = [...world.transfers.values()].some(
    one => one.backupId === backup.id && !one.phase.startsWith('finished'),
  )
  if (isOpen && isAtLeast(world.profile, 4, 5, 1))
    throw operationFailed(409, 'Cannot stop VM backup. There are active image transfers for this backup.')
  backup.isStopping = true
  if (backup.phase !== 'ready') return
  if (backup.engine !== 'hybrid') setPhase(world, backup, 'finalizing')
  after(world, backup.engine === 'cold' ? 1_000 : TICK_MS, async () => await endBackup(world, vm, backup))
}

const endBackup = async (world: World, vm: Vm, backup: Backup): Promise<void> => {
  if (isOver(backup)) return
  await reach(world, vm, backup, 'backup-finalizing')
  if (backup.engine !== 'hybrid') {
    // The job of a VM that stopped meanwhile cannot be stopped any more.
    const isLost = backup.engine === 'live' && (vm.status === 'down' || backup.isBroken)
    if (!isLost) return await succeed(world, vm, backup)
    tell(world, vm, backup, EVENT.backupFinalizeFailed, 'error', 'could not be finalized: VM stopped meanwhile')
    return await fail(world, vm, backup, 'VM stopped meanwhile')
  }
  tell(world, vm, backup, EVENT.backupStopped, 'normal', 'stopped')
  setPhase(world, backup, 'finalizing')
  after(world, TICK_MS, async () => {
    if (await removeBackupSnapshot(world, vm, backup)) return await succeed(world, vm, backup)
    tell(world, vm, backup, EVENT.snapshotLeftover, 'warning', 'left its snapshot behind')
    await succeed(world, vm, backup)
  })
}

const succeed = async (world: World, vm: Vm, backup: Backup): Promise<void> => {
  await release(world, backup)
  tell(world, vm, backup, EVENT.backupFinalized, 'normal', 'finalized')
  await end(world, vm, backup, 'succeeded')
}

/** Ends a backup that cannot go on; its checkpoint is forgotten. */
export const fail = async (world: World, vm: Vm, backup: Backup, reason: string): Promise<void> => {
  setPhase(world, backup, 'finalizing')
  tell(world, vm, backup, EVENT.backupFailed, 'error', `failed: ${reason}`)
  forgetCheckpoint(world, vm, backup)
  await release(world, backup)
  if (backup.snapshotId !== undefined) await removeBackupSnapshot(world, vm, backup)
  await end(world, vm, backup, 'failed')
}

/** An engine that was started anew may have lost track of its backups: those fail (event 10814). */
export const loseBackups = async (world: World): Promise<void> => {
  for (const vm of world.vms.values()) {
    const backup = activeBackup(vm)
    if (backup === undefined) continue
    tell(world, vm, backup, EVENT.backupUnmonitored, 'warning', 'is not monitored')
    await fail(world, vm, backup, 'it is not monitored')
  }
}

const release = async (world: World, backup: Backup): Promise<void> => {
  backup.isBroken = true
  await releaseDisks(backup)
  removeScratchDisks(world, backup)
  for (const { diskId } of backup.disks) world.disks.get(diskId)?.locks.delete(`backup ${backup.id}`)
}

const end = async (world: World, vm: Vm, backup: Backup, phase: 'succeeded' | 'failed'): Promise<void> => {
  setPhase(world, backup, phase)
  endJob(world, backup.jobId, phase === 'succeeded' ? 'finished' : 'failed')
  // Before 4.4.7 a backup that is over is gone, whatever became of it.
  if (isAtLeast(world.profile, 4, 4, 7)) purgeAfter(world, KEEP_MS[phase], () => vm.backups.delete(backup.id))
  else vm.backups.delete(backup.id)
  await reach(world, vm, backup, 'backup-ended')
}
