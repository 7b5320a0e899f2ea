/** Settles the content of a backup: all its disks at one instant. @module */
import type { Backup, BackupDisk, Disk, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { SimulatedDisk } from '../volumes/simulated-disk.ts'
import type { FreezeOptions } from '../volumes/simulated-disk.ts'
import { makesCheckpoints } from './backup-plan.ts'
import { scratchInitialBytes } from './scratch-disks.ts'

/** A disk's part of a backup, and its image. */
interface Part {
  readonly entry: BackupDisk
  readonly disk: Disk
  readonly image: SimulatedDisk
}

/** @returns the parts of those disks that are still there */
export const partsOf = (world: World, backup: Backup): Part[] =>
  backup.disks.flatMap(entry => {
    const disk = world.disks.get(entry.diskId)
    return disk?.volume === undefined ? [] : [{ entry, disk, image: disk.volume }]
  })

/** Options that all ways of freezing share: what to tell of, and the checkpoint to begin. */
export const trackingOf = (
  world: World,
  vm: Vm,
  backup: Backup,
  part: Part,
  checkpointId: string,
): Pick<FreezeOptions, 'since' | 'checkpointId'> => {
  const isTracked = part.disk.config['format'] === 'cow' && makesCheckpoints(world, vm)
  return {
    ...(part.entry.mode === 'incremental' && { since: backup.fromCheckpointId }),
    ...(isTracked && { checkpointId }),
  }
}

/** @throws GranaryError when a bitmap or the room for a scratch disk is missing */
export const freezeDisks = async (world: World, vm: Vm, backup: Backup, checkpointId: string): Promise<void> => {
  const parts = partsOf(world, backup)
  const frozen = await SimulatedDisk.freezeTogether(
    parts.map(part => ({
      disk: part.image,
      options: {
        ...trackingOf(world, vm, backup, part, checkpointId),
        ...(backup.engine === 'live' && part.entry.scratchId !== undefined
          ? { mode: 'live', volumeId: part.entry.scratchId, scratchInitialBytes: scratchInitialBytes(part.disk) }
          : { mode: 'cold' }),
      },
    })),
  )
  for (const [n, { entry }] of parts.entries()) entry.frozen = frozen[n]
}

export const releaseDisks = async (backup: Backup): Promise<void> => {
  for (const entry of backup.disks) {
    const { frozen } = entry
    entry.frozen = undefined
    await frozen?.[Symbol.asyncDispose]()
  }
}
