/** What must not happen at the same time (CONTRACT §0.3, §4.2). @module */
import { operationFailed } from '../http/api-error.ts'
import type { Backup, Disk, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'

/** The backup that a VM is in, if any: `succeeded` and `failed` ones are only remembered. */
export const activeBackup = (vm: Vm): Backup | undefined =>
  [...vm.backups.values()].find(({ phase }) => phase !== 'succeeded' && phase !== 'failed')

/** @throws ApiError 409 during a backup; a hybrid one forbids less (CONTRACT §4.3) */
export const requireNoBackup = (vm: Vm, action: string, options: { readonly hybridAllowed: boolean }): void => {
  const backup = activeBackup(vm)
  if (backup === undefined || (backup.engine === 'hybrid' && options.hybridAllowed)) return
  throw operationFailed(409, `Cannot ${action}. The VM is during a backup operation.`)
}

/** @throws ApiError 409 while a snapshot is made or removed, or the VM is in preview */
export const requireVmUnlocked = (vm: Vm, action: string): void => {
  if (vm.locks.size > 0)
    throw operationFailed(409, `Cannot ${action}. Related operation is currently in progress. Please try again later.`)
  if ([...vm.snapshots.values()].some(({ status }) => status === 'in_preview'))
    throw operationFailed(409, `Cannot ${action}. VM is in preview mode.`)
}

/** @throws ApiError 409 when one of the disks is locked or illegal */
export const requireDisksUsable = (disks: readonly Disk[], action: string): void => {
  const names = (wanted: (disk: Disk) => boolean): string =>
    disks
      .filter(wanted)
      .map(disk => String(disk.config['alias']))
      .join(', ')
  const locked = names(disk => disk.locks.size > 0)
  if (locked !== '')
    throw operationFailed(409, `Cannot ${action}. Disk ${locked} is locked. Please try again in a few minutes.`)
  const illegal = names(disk => disk.isIllegal)
  if (illegal !== '') throw operationFailed(409, `Cannot ${action}. Disk ${illegal} is in illegal status.`)
}

export const disksOf = (world: World, vm: Vm): Disk[] =>
  [...vm.attachments.keys()].flatMap(id => {
    const disk = world.disks.get(id)
    return disk === undefined ? [] : [disk]
  })

export const vmsOf = (world: World, diskId: string): Vm[] =>
  [...world.vms.values()].filter(vm => vm.attachments.has(diskId))
