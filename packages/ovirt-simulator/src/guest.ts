/** A guest that writes to its disk: what it cannot write pauses its VM, as on a full storage domain. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { EVENT, addEvent } from './engine/events.ts'
import type { Disk, Vm } from './model/state.ts'
import type { World } from './model/world.ts'
import { isRunning } from './project/vm.ts'
import type { SimulatedDisk } from './volumes/simulated-disk.ts'

export interface Guest {
  readonly sizeBytes: number
  /** @throws GranaryError `GRANARY_IO` when its VM does not run; `GRANARY_NO_SPACE` when there is no room: the VM is paused then */
  write(offset: number, bytes: Bytes): Promise<void>
  /** @throws GranaryError as `write` */
  zero(offset: number, length: number): Promise<void>
  /** TRIM. @throws GranaryError as `write` */
  discard(offset: number, length: number): Promise<void>
  /** What its disk holds now. */
  read(offset: number, target: Bytes): Promise<void>
}

/** Access to a disk past any running machine: to prepare what was there before. */
export const openGuest = (world: World, disk: Disk, vm?: Vm): Guest => {
  const { volume } = disk
  if (volume === undefined) throw new GranaryError('GRANARY_UNSUPPORTED', `disk ${disk.id} has no image`)
  const change = async (work: (image: SimulatedDisk) => Promise<void>): Promise<void> => {
    if (vm !== undefined && (!isRunning(vm) || vm.status === 'paused'))
      throw new GranaryError('GRANARY_IO', `the guest of VM ${vm.id} does not run: it is ${vm.status}`)
    try {
      await work(volume)
    } catch (error) {
      if (vm !== undefined && isGranaryError(error) && error.code === 'GRANARY_NO_SPACE') pause(world, vm)
      throw error
    }
  }
  return {
    sizeBytes: volume.sizeBytes,
    write: async (offset, bytes) => await change(async image => await image.guestWrite(offset, bytes)),
    zero: async (offset, length) => await change(async image => await image.guestZero(offset, length)),
    discard: async (offset, length) => await change(async image => await image.guestDiscard(offset, length)),
    read: async (offset, target) => await volume.open().read(offset, target),
  }
}

const pause = (world: World, vm: Vm): void => {
  vm.status = 'paused'
  addEvent(
    world,
    EVENT.vmPausedNoSpace,
    'error',
    `VM ${String(vm.config['name'])} has been paused due to no Storage space error.`,
    { vm: { id: vm.id } },
  )
}
