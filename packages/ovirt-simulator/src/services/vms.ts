/** `/vms` and their actions (CONTRACT §2.1, §3, §7). @module */
import { createVm, editVm } from '../engine/create-vm.ts'
import { importOvf } from '../engine/import-ovf.ts'
import { leaveCheckpoints, removeDisk } from '../engine/create-disk.ts'
import { doneJob } from '../engine/events.ts'
import { disksOf, requireDisksUsable, requireNoBackup, requireVmUnlocked } from '../engine/locks.ts'
import { isShown, requirePermit } from '../engine/permits.ts'
import { migrateVm, rebootVm, startVm, stopVm, suspendVm } from '../engine/vm-power.ts'
import { created, done, entityOf, running } from '../http/answer.ts'
import type { Answer } from '../http/answer.ts'
import { operationFailed } from '../http/api-error.ts'
import { flag } from '../http/call.ts'
import type { Call } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { writeOvf } from '../ovf/write-ovf.ts'
import { showVm } from '../project/vm.ts'
import { listed } from './collection.ts'

export const vmRoutes = (world: World): Route[] => [
  {
    method: 'GET',
    path: 'vms',
    run(call) {
      const entities = [...world.vms.values()]
        .filter(vm => isShown(world, call, vm.id))
        .map(vm => show(world, vm, call))
      return listed(world, call, { name: 'vms', type: 'Vm', entities })
    },
  },
  {
    method: 'GET',
    path: 'vms/:vm',
    run: call => entityOf('Vm', show(world, found(world.vms, call.ids['vm']), call)),
  },
  { method: 'POST', path: 'vms', body: 'Vm', run: call => add(world, call) },
  {
    method: 'PUT',
    path: 'vms/:vm',
    body: 'Vm',
    run(call) {
      const vm = found(world.vms, call.ids['vm'])
      requirePermit(world, call.user, 'EDIT_VM_PROPERTIES', vm.id)
      requireVmUnlocked(vm, 'edit VM')
      editVm(world, vm, call.body)
      return entityOf('Vm', show(world, vm, call))
    },
  },
  { method: 'DELETE', path: 'vms/:vm', run: async call => await remove(world, found(world.vms, call.ids['vm']), call) },
  ...actionRoutes(world),
]

const show = (world: World, vm: Vm, call: Call): Attributes =>
  showVm(world, vm, flag(call, 'all_content') ? writeOvf(world, vm) : undefined)

const add = (world: World, { body, user }: Call): Answer => {
  requirePermit(world, user, 'CREATE_VM', String((body['cluster'] as Attributes | undefined)?.['id']))
  const setup = body['initialization'] as Attributes | undefined
  const configuration = setup?.['configuration'] as Attributes | undefined
  const id = body['id'] === undefined ? {} : { id: String(body['id']).toLowerCase() }
  const vm =
    configuration === undefined
      ? createVm(world, { body, ...id })
      : importOvf(world, {
          body,
          ovf: String(configuration['data'] ?? ''),
          regenerateIds: setup?.['regenerate_ids'] === true,
        })
  return created('Vm', showVm(world, vm))
}

const remove = async (world: World, vm: Vm, call: Call): Promise<Answer> => {
  requirePermit(world, call.user, 'DELETE_VM', vm.id)
  if (vm.config['delete_protected'] === true)
    throw operationFailed(
      409,
      'Cannot remove VM. Delete protection is enabled. In order to delete, disable Delete protection first.',
    )
  if (vm.status !== 'down') throw operationFailed(409, 'Cannot remove VM. VM is running.')
  requireNoBackup(vm, 'remove VM', { hybridAllowed: false })
  requireVmUnlocked(vm, 'remove VM')
  const disks = disksOf(world, vm)
  const locked = disks.filter(disk => disk.locks.size > 0)
  if (locked.length > 0) requireDisksUsable(locked, 'remove VM')
  world.vms.delete(vm.id)
  for (const disk of disks) {
    if (flag(call, 'detach_only') || disk.config['shareable'] === true) leaveCheckpoints(vm, disk.id)
    else await removeDisk(world, disk)
  }
  return done(doneJob(world, `Removing VM ${String(vm.config['name'])}`))
}

type Action = (world: World, vm: Vm, call: Call) => void

/** Actions whose tasks go on after the answer. */
const POWER: Readonly<Record<string, Action>> = {
  start: (world, vm, { body }) => {
    startVm(world, vm, body['pause'] === true)
    const [cdrom] = ((body['vm'] as Attributes | undefined)?.['cdroms'] ?? []) as readonly Attributes[]
    const file = cdrom?.['file'] as Attributes | undefined
    if (file?.['id'] !== undefined) vm.cdrom.current = String(file['id'])
  },
  stop: (world, vm) => stopVm(world, vm, false),
  shutdown: (world, vm) => stopVm(world, vm, true),
  reboot: (world, vm, { body }) => rebootVm(world, vm, body['force'] === true),
  suspend: (world, vm) => suspendVm(world, vm),
  migrate: (world, vm) => migrateVm(world, vm),
}

const freeze = (vm: Vm, isFrozen: boolean): void => {
  const action = isFrozen ? 'freeze' : 'thaw'
  if (vm.status !== 'up') throw operationFailed(409, `Cannot ${action} VM. VM is not up.`)
  if (!vm.hasAgent) throw operationFailed(400, 'Guest agent is not responsive')
  if (isFrozen && vm.isFrozen) throw operationFailed(400, 'Freeze failed: the file systems are frozen already')
  vm.isFrozen = isFrozen
}

const actionRoutes = (world: World): Route[] => [
  ...Object.entries(POWER).map(([name, run]): Route => ({
    method: 'POST',
    path: `vms/:vm/${name}`,
    body: 'Action',
    failsAsAction: true,
    run(call) {
      const vm = found(world.vms, call.ids['vm'])
      requirePermit(world, call.user, 'RUN_VM', vm.id)
      run(world, vm, call)
      return running(doneJob(world, `${name} VM ${String(vm.config['name'])}`))
    },
  })),
  ...(['freezefilesystems', 'thawfilesystems'] as const).map((name): Route => ({
    method: 'POST',
    path: `vms/:vm/${name}`,
    body: 'Action',
    failsAsAction: true,
    run({ ids, user }) {
      const vm = found(world.vms, ids['vm'])
      requirePermit(world, user, 'RUN_VM', vm.id)
      freeze(vm, name === 'freezefilesystems')
      return done(doneJob(world, `${name} VM ${String(vm.config['name'])}`))
    },
  })),
]
