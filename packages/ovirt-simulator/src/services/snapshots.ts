/** `/vms/ID/snapshots` (CONTRACT §2.3). @module */
import { doneJob } from '../engine/events.ts'
import { requireDisksUsable, requireNoBackup, requireVmUnlocked } from '../engine/locks.ts'
import { requirePermit } from '../engine/permits.ts'
import {
  invalidateCheckpoints,
  removeSnapshot,
  revertToSnapshot,
  snapable,
  snapshotDisks,
  takeSnapshot,
} from '../engine/snapshots.ts'
import { created, done, listOf } from '../http/answer.ts'
import type { Answer } from '../http/answer.ts'
import { incomplete, operationFailed } from '../http/api-error.ts'
import type { Call } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { showDisk } from '../project/disk.ts'
import { showNic, showSnapshot } from '../project/vm.ts'
import { belowVm } from './below-vm.ts'

export const snapshotRoutes = (world: World): Route[] => [
  ...belowVm(world, {
    name: 'snapshots',
    type: 'Snapshot',
    entities: vm => [...vm.snapshots.values()].map(one => showSnapshot(vm, one)),
  }),
  {
    method: 'GET',
    path: 'vms/:vm/snapshots/:snapshot/disks',
    run({ ids }) {
      const vm = found(world.vms, ids['vm'])
      const disks = snapshotDisks(world, vm, found(vm.snapshots, ids['snapshot']))
      return listOf(
        'Disk',
        disks.map(({ disk, volumeId }) => ({ ...showDisk(world, disk), image_id: volumeId })),
      )
    },
  },
  {
    method: 'GET',
    path: 'vms/:vm/snapshots/:snapshot/nics',
    run({ ids }) {
      const vm = found(world.vms, ids['vm'])
      found(vm.snapshots, ids['snapshot'])
      return listOf(
        'Nic',
        [...vm.nics.values()].map(nic => showNic(vm, nic)),
      )
    },
  },
  ...changes(world),
]

const changes = (world: World): Route[] => [
  {
    method: 'POST',
    path: 'vms/:vm/snapshots',
    body: 'Snapshot',
    run: call => take(world, found(world.vms, call.ids['vm']), call),
  },
  {
    method: 'DELETE',
    path: 'vms/:vm/snapshots/:snapshot',
    run({ ids, user }) {
      const vm = found(world.vms, ids['vm'])
      const snapshot = found(vm.snapshots, ids['snapshot'])
      requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
      if (snapshot.type === 'active')
        throw operationFailed(409, 'Cannot remove Snapshot. Removing the VM active Snapshot is not allowed.')
      requireUsable(world, vm, 'remove Snapshot')
      removeSnapshot(world, vm, snapshot)
      return done(doneJob(world, `Removing Snapshot ${snapshot.description}`))
    },
  },
  {
    method: 'POST',
    path: 'vms/:vm/snapshots/:snapshot/restore',
    body: 'Action',
    failsAsAction: true,
    async run({ ids, user }) {
      const vm = found(world.vms, ids['vm'])
      const snapshot = found(vm.snapshots, ids['snapshot'])
      requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
      if (vm.status !== 'down') throw operationFailed(409, 'Cannot revert to Snapshot. VM is not down.')
      requireUsable(world, vm, 'revert to Snapshot')
      await revertToSnapshot(world, snapshot)
      invalidateCheckpoints(world, vm)
      return done(doneJob(world, 'Reverting to Snapshot'))
    },
  },
]

const requireUsable = (world: World, vm: Vm, action: string): void => {
  requireVmUnlocked(vm, action)
  requireNoBackup(vm, action, { hybridAllowed: true })
  requireDisksUsable(snapable(world, vm), action)
}

const take = (world: World, vm: Vm, { body, user }: Call): Answer => {
  requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
  if (typeof body['description'] !== 'string') throw incomplete('Snapshot [description] required for add')
  requireUsable(world, vm, 'create Snapshot')
  const chosen = body['disk_attachments'] as readonly Attributes[] | undefined
  const snapshot = takeSnapshot(world, vm, {
    description: body['description'],
    persistMemory: vm.status === 'up' && body['persist_memorystate'] !== false,
    diskIds: chosen?.map(one => String((one['disk'] as Attributes | undefined)?.['id'] ?? one['id'])),
  })
  return created('Snapshot', { ...showSnapshot(vm, snapshot), creation_status: 'in_progress' }, 202)
}
