/** The snapshot behind a hybrid backup (CONTRACT §4.3). @module */
import { randomUUID } from 'node:crypto'
import type { Backup, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { SimulatedDisk } from '../volumes/simulated-disk.ts'
import { partsOf, trackingOf } from './freeze.ts'
import { beginSnapshot, mergeSnapshot, unlockSnapshot } from './snapshots.ts'

/** The description of snapshots made for a backup. */
export const BACKUP_SNAPSHOT = 'Auto-generated for Backup VM'

/** @throws GranaryError when there is no room for the new layers; the snapshot is gone then */
export const takeBackupSnapshot = async (world: World, vm: Vm, backup: Backup, checkpointId: string): Promise<void> => {
  const diskIds = backup.disks.map(({ diskId }) => diskId)
  const { snapshot, disks } = beginSnapshot(world, vm, { description: BACKUP_SNAPSHOT, persistMemory: false, diskIds })
  const parts = partsOf(world, backup).map(part => ({ ...part, imageId: randomUUID() }))
  try {
    const frozen = await SimulatedDisk.freezeTogether(
      parts.map(part => ({
        disk: part.image,
        options: { ...trackingOf(world, vm, backup, part, checkpointId), mode: 'snapshot', volumeId: part.imageId },
      })),
    )
    for (const [n, { entry, disk, imageId }] of parts.entries()) {
      entry.frozen = frozen[n]
      snapshot.volumes.set(disk.id, disk.imageId)
      disk.imageId = imageId
    }
    snapshot.status = 'ok'
    backup.snapshotId = snapshot.id
  } catch (error) {
    vm.snapshots.delete(snapshot.id)
    throw error
  } finally {
    unlockSnapshot(vm, disks, snapshot.id)
  }
}

/** @returns false when it could not be merged and stays behind */
export const removeBackupSnapshot = async (world: World, vm: Vm, backup: Backup): Promise<boolean> => {
  const snapshot = backup.snapshotId === undefined ? undefined : vm.snapshots.get(backup.snapshotId)
  return snapshot === undefined || (await mergeSnapshot(world, vm, snapshot))
}
