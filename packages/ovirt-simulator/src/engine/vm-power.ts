/** Starting, stopping and moving virtual machines, step by step as time passes. @module */
import { operationFailed } from '../http/api-error.ts'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { isRunning } from '../project/vm.ts'
import { EVENT, addEvent } from './events.ts'
import { activeBackup, disksOf, requireDisksUsable, requireNoBackup, requireVmUnlocked } from './locks.ts'

/** How long a VM is in each state on its way up and down, ms. */
const STEP_MS = {
  wait_for_launch: 2_000,
  powering_up: 20_000,
  powering_down: 15_000,
  migrating: 30_000,
  saving_state: 8_000,
  restoring_state: 8_000,
  reboot: 10_000,
} as const

export const hostsFor = (world: World, vm: Vm): Attributes[] =>
  [...world.plain.hosts.values()].filter(
    host => host['status'] === 'up' && (host['cluster'] as Attributes)['id'] === vm.clusterId,
  )

/** @throws ApiError 409 when it cannot start now */
export const startVm = (world: World, vm: Vm, isPaused = false): void => {
  if (vm.status !== 'down' && vm.status !== 'suspended' && vm.status !== 'paused')
    throw operationFailed(409, 'Cannot run VM. VM is running.')
  requireVmUnlocked(vm, 'run VM')
  requireNoBackup(vm, 'run VM', { hybridAllowed: true })
  const disks = disksOf(world, vm).filter(disk => vm.attachments.get(disk.id)?.isActive === true)
  requireDisksUsable(disks, 'run VM')
  if (
    disks.some(
      disk => disk.storageDomainId !== undefined && world.storageDomains.get(disk.storageDomainId)?.isBackup === true,
    )
  )
    throw operationFailed(409, 'Cannot run VM. One or more of the VM disks reside on a backup Storage Domain.')
  const iso = vm.cdrom.stored
  if (/^[0-9a-f-]{36}$/.test(iso) && !world.disks.has(iso))
    throw operationFailed(409, 'Cannot run VM. The CD image does not exist.')
  const [host] = hostsFor(world, vm)
  if (host === undefined)
    throw operationFailed(409, 'Cannot run VM. There is no host that satisfies current scheduling constraints.')
  const isSuspended = vm.status === 'suspended'
  vm.hostId = String(host['id'])
  vm.startedMs = world.clock.now()
  if (!isSuspended) vm.cdrom.current = vm.cdrom.stored
  goThrough(
    world,
    vm,
    isSuspended ? ['restoring_state'] : ['wait_for_launch', 'powering_up'],
    isPaused ? 'paused' : 'up',
    () =>
      addEvent(world, EVENT.vmStarted, 'normal', `VM ${String(vm.config['name'])} started on Host`, {
        vm: { id: vm.id },
      }),
  )
}

type Passing = Exclude<keyof typeof STEP_MS, 'reboot'>

const goThrough = (
  world: World,
  vm: Vm,
  [step, ...rest]: readonly Passing[],
  last: string,
  arrive: () => void,
): void => {
  if (step === undefined) {
    vm.status = last
    return arrive()
  }
  vm.status = step
  world.clock.schedule(STEP_MS[step], () => {
    if (vm.status === step) goThrough(world, vm, rest, last, arrive)
  })
}

/** Power off at once. */
export const powerOff = (world: World, vm: Vm): void => {
  // The process that serves a live backup goes with its guest.
  const backup = activeBackup(vm)
  if (backup?.engine === 'live') backup.isBroken = true
  vm.status = 'down'
  vm.hostId = undefined
  vm.startedMs = undefined
  vm.isFrozen = false
  vm.cdrom.current = ''
  addEvent(world, EVENT.vmDown, 'normal', `VM ${String(vm.config['name'])} is down.`, { vm: { id: vm.id } })
}

/** @throws ApiError 409 when it is down, or in a backup that forbids it */
export const stopVm = (world: World, vm: Vm, isGraceful: boolean): void => {
  if (!isRunning(vm)) throw operationFailed(409, 'Cannot stop VM. VM is not running.')
  requireNoBackup(vm, 'stop VM', { hybridAllowed: true })
  if (!isGraceful) return powerOff(world, vm)
  vm.status = 'powering_down'
  world.clock.schedule(STEP_MS.powering_down, () => {
    if (vm.status === 'powering_down') powerOff(world, vm)
  })
}

/** @throws ApiError 409 */
export const rebootVm = (world: World, vm: Vm, isForced: boolean): void => {
  if (vm.status !== 'up') throw operationFailed(409, 'Cannot reboot VM. VM is not up.')
  if (!isForced) requireNoBackup(vm, 'reboot VM', { hybridAllowed: true })
  vm.status = 'reboot_in_progress'
  world.clock.schedule(STEP_MS.reboot, () => {
    if (vm.status === 'reboot_in_progress') vm.status = 'up'
  })
}

/** @throws ApiError 409 */
export const suspendVm = (world: World, vm: Vm): void => {
  if (vm.status !== 'up') throw operationFailed(409, 'Cannot suspend VM. VM is not up.')
  requireNoBackup(vm, 'suspend VM', { hybridAllowed: false })
  goThrough(world, vm, ['saving_state'], 'suspended', () => {
    vm.hostId = undefined
    vm.startedMs = undefined
  })
}

/** @throws ApiError 409 */
export const migrateVm = (world: World, vm: Vm): void => {
  if (vm.status !== 'up') throw operationFailed(409, 'Cannot migrate VM. VM is not up.')
  requireNoBackup(vm, 'migrate VM', { hybridAllowed: true })
  const target = hostsFor(world, vm).find(host => host['id'] !== vm.hostId)
  if (target === undefined)
    throw operationFailed(409, 'Cannot migrate VM. There is no host that satisfies current scheduling constraints.')
  goThrough(world, vm, ['migrating'], 'up', () => {
    vm.hostId = String(target['id'])
    addEvent(world, EVENT.vmMigrated, 'normal', `Migration completed (VM: ${String(vm.config['name'])})`, {
      vm: { id: vm.id },
    })
  })
}
