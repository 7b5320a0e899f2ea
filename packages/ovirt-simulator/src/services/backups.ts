/** `/vms/ID/backups` and `/vms/ID/checkpoints` (CONTRACT §4.1). @module */
import { planBackup } from '../engine/backup-plan.ts'
import { beginBackup, finalizeBackup } from '../engine/backups.ts'
import { deleteCheckpoint } from '../engine/checkpoints.ts'
import { doneJob } from '../engine/events.ts'
import { requirePermit } from '../engine/permits.ts'
import { created, done, listOf } from '../http/answer.ts'
import { notFound, operationFailed } from '../http/api-error.ts'
import { flag } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import type { Attributes } from '../model/schema.ts'
import type { Backup, Checkpoint, Vm } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { levelNumber } from '../profiles.ts'
import { compatibilityLevel } from '../engine/create-vm.ts'
import { showDisk } from '../project/disk.ts'
import { showBackup, showCheckpoint } from '../project/vm.ts'
import { belowVm } from './below-vm.ts'

export const backupRoutes = (world: World): Route[] => [
  ...belowVm(world, {
    name: 'backups',
    type: 'Backup',
    entities: vm => [...vm.backups.values()].map(one => showBackup(world, vm, one)),
  }),
  {
    method: 'POST',
    path: 'vms/:vm/backups',
    body: 'Backup',
    run(call) {
      const vm = world.vms.get(String(call.ids['vm']).toLowerCase())
      if (vm === undefined) throw operationFailed(400, "Cannot backup VM. VM doesn't exist.")
      const { body, user, parameters } = call
      const plan = planBackup(world, vm, {
        body,
        user,
        requireConsistency: flag(call, 'require_consistency'),
        correlationId: parameters.get('correlation_id'),
        isLegacy: parameters.get('legacy') === 'true',
      })
      const backup = beginBackup(world, vm, plan, body['id'] as string | undefined)
      return created('Backup', showBackup(world, vm, backup))
    },
  },
  {
    method: 'GET',
    path: 'vms/:vm/backups/:backup/disks',
    run({ ids }) {
      const vm = found(world.vms, ids['vm'])
      const disks = backupDisks(world, vm, found(vm.backups, ids['backup']))
      return { ...listOf('Disk', disks), isListTouched: true }
    },
  },
  {
    method: 'POST',
    path: 'vms/:vm/backups/:backup/finalize',
    body: 'Action',
    run({ ids, user }) {
      const vm = found(world.vms, ids['vm'])
      const backup = vm.backups.get(String(ids['backup']).toLowerCase())
      if (backup === undefined) throw operationFailed(400, 'Cannot stop VM backup. The backup does not exist.')
      requirePermit(world, user, 'BACKUP_DISK', vm.id)
      finalizeBackup(world, vm, backup)
      return done(doneJob(world, 'Finalizing backup'))
    },
  },
  ...checkpointRoutes(world),
]

/** Clusters of level 4.5 and up tell how each disk is backed up. */
const backupDisks = (world: World, vm: Vm, backup: Backup): Attributes[] => {
  const tellsMode = levelNumber(compatibilityLevel(world, vm)) >= levelNumber('4.5')
  return backup.disks.flatMap(({ diskId, mode }) => {
    const disk = world.disks.get(diskId)
    return disk === undefined ? [] : [{ ...showDisk(world, disk), ...(tellsMode && { backup_mode: mode }) }]
  })
}

const checkpointOf = (vm: Vm, id: string | undefined): Checkpoint => {
  const checkpoint = vm.checkpoints.find(one => one.id === id)
  if (checkpoint === undefined) throw notFound()
  return checkpoint
}

const checkpointRoutes = (world: World): Route[] => [
  ...belowVm(world, {
    name: 'checkpoints',
    type: 'Checkpoint',
    entities: vm => vm.checkpoints.map(one => showCheckpoint(world, vm, one)),
  }),
  {
    method: 'GET',
    path: 'vms/:vm/checkpoints/:checkpoint/disks',
    run({ ids }) {
      const { diskIds } = checkpointOf(found(world.vms, ids['vm']), ids['checkpoint'])
      return listOf(
        'Disk',
        diskIds.flatMap(id => world.disks.get(id) ?? []).map(disk => showDisk(world, disk)),
      )
    },
  },
  {
    method: 'DELETE',
    path: 'vms/:vm/checkpoints/:checkpoint',
    run({ ids, user }) {
      const vm = found(world.vms, ids['vm'])
      const checkpoint = vm.checkpoints.find(one => one.id === ids['checkpoint'])
      if (checkpoint === undefined)
        throw operationFailed(400, 'Cannot delete VM checkpoint. The checkpoint does not exist.')
      requirePermit(world, user, 'BACKUP_DISK', vm.id)
      deleteCheckpoint(world, vm, checkpoint)
      return done(doneJob(world, 'Deleting VM checkpoint'))
    },
  },
]
