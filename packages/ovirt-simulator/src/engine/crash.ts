/** Power failures (CONTRACT §4.4, §6.3). @module */
import { GranaryError } from '@granary/core'
import type { Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { isRunning } from '../project/vm.ts'
import { EVENT, addEvent } from './events.ts'
import { disksOf } from './locks.ts'
import type { Transfers } from './transfers.ts'
import { powerOff } from './vm-power.ts'

/** A guest that is killed leaves its bitmaps in use, and nothing of its live backup. */
export const crashVm = (world: World, vm: Vm): void => {
  for (const disk of disksOf(world, vm)) disk.volume?.bitmaps.crash()
  powerOff(world, vm)
  addEvent(world, EVENT.vmDownError, 'error', `VM ${String(vm.config['name'])} is down with error.`, {
    vm: { id: vm.id },
  })
}

/** @throws GranaryError `GRANARY_NOT_FOUND` */
export const setHostStatus = (world: World, hostId: string, status: 'up' | 'non_responsive'): void => {
  const host = world.plain.hosts.get(hostId)
  if (host === undefined) throw new GranaryError('GRANARY_NOT_FOUND', `no host ${hostId}`)
  world.plain.hosts.set(hostId, { ...host, status })
}

/** @throws GranaryError `GRANARY_NOT_FOUND` */
export const crashHost = async (world: World, transfers: Transfers, hostId: string): Promise<void> => {
  setHostStatus(world, hostId, 'non_responsive')
  for (const vm of world.vms.values()) if (vm.hostId === hostId && isRunning(vm)) crashVm(world, vm)
  await transfers.crashHost(hostId)
}
