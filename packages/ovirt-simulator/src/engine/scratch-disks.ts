/** The scratch disks of a live backup, as the inventory shows them (CONTRACT §4.3). @module */
import { randomUUID } from 'node:crypto'
import type { Backup, Disk } from '../model/state.ts'
import type { World } from '../model/world.ts'

const GIB = 1024 ** 3
/** MaxBackupBlockScratchDiskInitialSizePercents, MinBackupBlockScratchDiskInitialSizeInGB. */
const BLOCK_SHARE = 0.2
const BLOCK_MIN_BYTES = 4 * GIB

/** Size of the logical volume that a scratch disk begins with on block storage. */
export const scratchInitialBytes = (disk: Disk): number =>
  Math.max(BLOCK_MIN_BYTES, Math.ceil((disk.volume?.allocatedBytes ?? 0) * BLOCK_SHARE))

/** @returns what went wrong: a storage domain without room */
export const addScratchDisks = (world: World, backup: Backup): string | undefined => {
  for (const [n, entry] of backup.disks.entries()) {
    const disk = world.disks.get(entry.diskId)
    const domain = world.storageDomains.get(disk?.storageDomainId ?? '')
    if (disk === undefined || domain === undefined) return `disk ${entry.diskId} is gone`
    if (domain.status !== 'active') return `storage domain ${domain.name} is ${domain.status}`
    if (domain.space.kind === 'block' && domain.space.availableBytes < scratchInitialBytes(disk))
      return `storage domain ${domain.name} has no room`
    const scratchId = randomUUID()
    backup.disks[n] = { ...entry, scratchId }
    world.disks.set(scratchId, {
      id: scratchId,
      config: {
        alias: `VM ${disk.id} backup ${backup.id} scratch disk for ${String(disk.config['alias'])}`,
        description: `Backup ${backup.id} scratch disk`,
        format: 'cow',
        sparse: true,
        backup: 'none',
        content_type: 'backup_scratch',
        storage_type: 'image',
        shareable: false,
      },
      storageDomainId: domain.id,
      isIllegal: true, // On purpose, so that nobody uses it.
      locks: new Set(),
      imageId: scratchId,
      volume: undefined,
      createdMs: world.clock.now(),
    })
  }
  return undefined
}

export const removeScratchDisks = (world: World, backup: Backup): void => {
  for (const { scratchId } of backup.disks) if (scratchId !== undefined) world.disks.delete(scratchId)
}
