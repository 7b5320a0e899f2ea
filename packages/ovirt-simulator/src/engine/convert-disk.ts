/** Rewrites a disk in another shape: `POST /disks/ID/convert` of newer engines (CONTRACT §2.2). @module */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { copyDisk, isGranaryError } from '@granary/core'
import { incomplete, notFound, operationFailed } from '../http/api-error.ts'
import type { Attributes } from '../model/schema.ts'
import type { Disk, StorageDomain } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { isAtLeast, levelNumber } from '../profiles.ts'
import { SimulatedDisk } from '../volumes/simulated-disk.ts'
import { leaveCheckpoints, shapeOf } from './create-disk.ts'
import type { Shape } from './create-disk.ts'
import { clusterLevel, compatibilityLevel } from './create-vm.ts'
import { endJob, startJob } from './events.ts'
import { requireDisksUsable, requireNoBackup, vmsOf } from './locks.ts'
import { after } from './ticker.ts'

const ACTION = 'convert Disk'
const CONVERT_LEVEL = '4.7'
/** What reading and writing a disk takes, ms. */
const CONVERT_MS = 20_000

/**
 * Begins to convert a disk; it is locked until that is done.
 *
 * @returns the id of its job
 * @throws ApiError 404 where the engine does not have it, 400 below level 4.7 and on a wrong shape, 409 for a disk in use or with snapshots
 */
export const convertDisk = (world: World, disk: Disk, wanted: Attributes | undefined): string => {
  if (!isAtLeast(world.profile, 4, 5, 0)) throw notFound()
  if (wanted === undefined) throw incomplete('Action [disk] required for convert')
  const { volume } = disk
  const domain = world.storageDomains.get(disk.storageDomainId ?? '')
  if (volume === undefined || domain === undefined)
    throw operationFailed(409, `Cannot ${ACTION}. The disk storage type is not supported.`)
  requireLevel(world, disk, domain)
  requireIdle(world, disk)
  if (volume.volumes.length > 1) throw operationFailed(409, `Cannot ${ACTION}. The disk has snapshots.`)
  const { format, sparse, backup } = disk.config
  const shape = shapeOf({ format, sparse, backup, ...wanted }, domain)
  const jobId = startJob(world, `Converting Disk ${String(disk.config['alias'])}`)
  disk.locks.add('convert')
  after(world, CONVERT_MS, async () => {
    const isDone = await rewrite(world, disk, volume, { shape, domain })
    disk.locks.delete('convert')
    endJob(world, jobId, isDone ? 'finished' : 'failed')
  })
  return jobId
}

const requireLevel = (world: World, disk: Disk, domain: StorageDomain): void => {
  const [vm] = vmsOf(world, disk.id)
  const level =
    vm === undefined ? clusterLevel(world.plain.datacenters.get(domain.dataCenterId)) : compatibilityLevel(world, vm)
  if (levelNumber(level) < levelNumber(CONVERT_LEVEL))
    throw operationFailed(400, `Cannot ${ACTION}. It is not supported for this cluster level.`)
}

const requireIdle = (world: World, disk: Disk): void => {
  for (const vm of vmsOf(world, disk.id)) {
    requireNoBackup(vm, ACTION, { hybridAllowed: false })
    if (vm.status !== 'down' && vm.attachments.get(disk.id)?.isActive === true)
      throw operationFailed(409, `Cannot ${ACTION}. The disk is plugged to a VM that is not down.`)
  }
  requireDisksUsable([disk], ACTION)
}

/** The content moves to a new volume, and bitmaps stay behind. @returns false when there is no room: all is as it was then */
const rewrite = async (
  world: World,
  disk: Disk,
  old: SimulatedDisk,
  { shape, domain }: { readonly shape: Shape; readonly domain: StorageDomain },
): Promise<boolean> => {
  const imageId = randomUUID()
  let made: SimulatedDisk | undefined
  try {
    made = await SimulatedDisk.create({
      folder: join(world.folder, `${disk.id}-${imageId}`),
      volumeId: imageId,
      sizeBytes: old.sizeBytes,
      format: shape.format,
      isThick: !shape.isSparse,
      initialBytes: old.sizeBytes,
      space: domain.space,
    })
    await copyDisk(old.open(), made.open())
  } catch (error) {
    await made?.remove()
    if (isGranaryError(error)) return false
    throw error
  }
  disk.volume = made
  disk.imageId = imageId
  disk.config = {
    ...disk.config,
    format: shape.format,
    sparse: shape.isSparse,
    backup: shape.isIncremental ? 'incremental' : 'none',
  }
  for (const vm of vmsOf(world, disk.id)) leaveCheckpoints(vm, disk.id)
  await old.remove()
  return true
}
