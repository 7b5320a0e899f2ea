/** Checkpoints and the bitmaps behind them (CONTRACT §4.4). @module */
import { isGranaryError } from '@granary/core'
import { operationFailed } from '../http/api-error.ts'
import type { Backup, Checkpoint, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { isAtLeast } from '../profiles.ts'
import { makesCheckpoints } from './backup-plan.ts'
import { EVENT, addEvent } from './events.ts'
import { disksOf, requireDisksUsable, requireNoBackup, requireVmUnlocked } from './locks.ts'
import { TICK_MS, after } from './ticker.ts'

/** Every backup with at least one cow disk makes one, and so moves the chain. */
export const recordCheckpoint = (world: World, vm: Vm, backup: Backup, id: string): void => {
  const diskIds = backup.disks
    .map(({ diskId }) => diskId)
    .filter(one => world.disks.get(one)?.config['format'] === 'cow')
  if (diskIds.length === 0 || !makesCheckpoints(world, vm)) return
  vm.checkpoints.push({
    id,
    backupId: backup.id,
    parentId: vm.checkpoints.at(-1)?.id,
    createdMs: world.clock.now(),
    state: 'created',
    description: backup.description,
    diskIds,
  })
}

/** A backup that failed takes its checkpoint with it. */
export const forgetCheckpoint = (world: World, vm: Vm, backup: Backup): void => {
  const checkpoint = vm.checkpoints.find(({ backupId }) => backupId === backup.id)
  if (checkpoint !== undefined) dropCheckpoint(world, vm, checkpoint)
}

export const dropCheckpoint = (world: World, vm: Vm, checkpoint: Checkpoint): void => {
  vm.checkpoints = vm.checkpoints
    .filter(one => one !== checkpoint)
    .map(one => (one.parentId === checkpoint.id ? { ...one, parentId: checkpoint.parentId } : one))
  for (const diskId of checkpoint.diskIds) {
    const bitmaps = world.disks.get(diskId)?.volume?.bitmaps
    if (bitmaps?.checkpointIds.includes(checkpoint.id) === true) bitmaps.remove(checkpoint.id)
  }
}

/** The whole chain goes: what follows event 10791, and a failed redefinition. */
export const wipeCheckpoints = (world: World, vm: Vm): void => {
  vm.checkpoints = []
  for (const disk of disksOf(world, vm)) disk.volume?.bitmaps.lose()
}

/** Whether a bitmap that is needed was left in use by a crash, or is gone. */
export const isInconsistent = (world: World, vm: Vm, checkpointId: string | undefined): boolean => {
  const checkpoint = vm.checkpoints.find(({ id }) => id === checkpointId)
  return (checkpoint?.diskIds ?? []).some(id => {
    try {
      world.disks.get(id)?.volume?.bitmaps.since(checkpointId ?? '')
      return false
    } catch (error) {
      if (isGranaryError(error)) return true
      throw error
    }
  })
}

/**
 * Deletes a checkpoint, soon.
 *
 * @throws ApiError 409 during a backup or another removal, where only the root may go, or for a VM that an old engine needs running
 */
export const deleteCheckpoint = (world: World, vm: Vm, checkpoint: Checkpoint): void => {
  const action = 'delete VM checkpoint'
  requireNoBackup(vm, action, { hybridAllowed: false })
  requireVmUnlocked(vm, action)
  if (!isAtLeast(world.profile, 4, 4, 7)) {
    if (vm.checkpoints[0] !== checkpoint)
      throw operationFailed(409, `Cannot ${action}. The checkpoint is not the root of the VM checkpoints chain.`)
    if (vm.status !== 'up') throw operationFailed(409, `Cannot ${action}. VM is not running.`)
  }
  requireDisksUsable(
    checkpoint.diskIds.flatMap(id => world.disks.get(id) ?? []),
    action,
  )
  vm.locks.add(`checkpoint ${checkpoint.id}`)
  after(world, TICK_MS, () => {
    vm.locks.delete(`checkpoint ${checkpoint.id}`)
    if (!vm.checkpoints.includes(checkpoint)) return
    // For a running VM the chain is redefined first; what cannot be goes as a whole.
    const isLost = vm.status === 'up' && disksOf(world, vm).some(disk => disk.volume?.bitmaps.isInUse === true)
    if (isLost) wipeCheckpoints(world, vm)
    else dropCheckpoint(world, vm, checkpoint)
    const what = `Checkpoint ${checkpoint.id} of VM ${String(vm.config['name'])}`
    const about = { vm: { id: vm.id } }
    if (isLost) addEvent(world, EVENT.checkpointDeleteFailed, 'error', `${what} could not be deleted.`, about)
    else addEvent(world, EVENT.checkpointDeleted, 'normal', `${what} was deleted.`, about)
  })
}
