/** What is locked, open or orphaned at a moment: tests assert that nothing is left. @module */
import { BACKUP_SNAPSHOT } from './engine/backup-snapshot.ts'
import { activeBackup } from './engine/locks.ts'
import type { World } from './model/world.ts'

/** All lists hold ids, sorted; a clean installation has none. */
export interface SimulatorState {
  readonly lockedDisks: readonly string[]
  readonly illegalDisks: readonly string[]
  readonly lockedVms: readonly string[]
  readonly frozenVms: readonly string[]
  /** Backups that are not over. */
  readonly openBackups: readonly string[]
  /** Transfers that are not over. */
  readonly openTransfers: readonly string[]
  /** Snapshots made for a backup that are still there. */
  readonly backupSnapshots: readonly string[]
  readonly scratchDisks: readonly string[]
  /** Disks that no VM has. */
  readonly floatingDisks: readonly string[]
  readonly runningJobs: readonly string[]
}

export const observe = (world: World): SimulatorState => {
  const disks = [...world.disks.values()]
  const vms = [...world.vms.values()]
  const isScratch = (disk: (typeof disks)[number]): boolean => disk.config['content_type'] === 'backup_scratch'
  const ids = (entities: readonly { readonly id: string }[]): string[] => entities.map(({ id }) => id).toSorted()
  return {
    lockedDisks: ids(disks.filter(disk => disk.locks.size > 0)),
    illegalDisks: ids(disks.filter(disk => disk.isIllegal && !isScratch(disk))),
    lockedVms: ids(vms.filter(vm => vm.locks.size > 0)),
    frozenVms: ids(vms.filter(vm => vm.isFrozen)),
    openBackups: ids(vms.flatMap(vm => activeBackup(vm) ?? [])),
    openTransfers: ids([...world.transfers.values()].filter(({ phase }) => !phase.startsWith('finished'))),
    backupSnapshots: ids(
      vms.flatMap(vm => [...vm.snapshots.values()].filter(({ description }) => description === BACKUP_SNAPSHOT)),
    ),
    scratchDisks: ids(disks.filter(isScratch)),
    floatingDisks: ids(disks.filter(disk => !isScratch(disk) && vms.every(vm => !vm.attachments.has(disk.id)))),
    runningJobs: ids(
      [...world.plain.jobs.values()].filter(job => job['status'] === 'started').map(job => ({ id: String(job['id']) })),
    ),
  }
}
