/** Makes disks: what shapes are allowed, where there is room, how long it takes (CONTRACT §2.2, §3.3). @module */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { incomplete, operationFailed } from '../http/api-error.ts'
import type { Attributes } from '../model/schema.ts'
import type { Disk, StorageDomain } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { SimulatedDisk } from '../volumes/simulated-disk.ts'
import { endJob, startJob } from './events.ts'
import { after } from './ticker.ts'

const GIB = 1024 ** 3
const SECTOR_BYTES = 512
/** Ticks of the engine, and what writing a preallocated volume full of zeros takes, ms. */
const CREATE_MS = 4_000
const PREALLOCATE_MS_PER_GIB = 5_000

/**
 * The storage domain that a body names, by id or name; active and with room.
 *
 * @throws ApiError 400 without one, 404 for an unknown one, 409 for one that does not do
 */
export const storageDomainFor = (world: World, body: Attributes, action: string): StorageDomain => {
  const [link] = (body['storage_domains'] ?? []) as readonly Attributes[]
  if (link?.['id'] === undefined && link?.['name'] === undefined)
    throw incomplete('Disk [storageDomains.storageDomain[0].id|name] required for add')
  const domain =
    link['id'] === undefined
      ? [...world.storageDomains.values()].find(one => one.name === link['name'])
      : found(world.storageDomains, String(link['id']))
  if (domain === undefined) throw operationFailed(404, `Entity not found: ${String(link['name'])}`)
  if (domain.status !== 'active')
    throw operationFailed(409, `Cannot ${action}. The relevant Storage Domain's status is ${domain.status}.`)
  if (domain.space.availableBytes < domain.criticalGib * GIB)
    throw operationFailed(409, `Cannot ${action}. Low disk space on Storage Domain ${domain.name}.`)
  return domain
}

export interface Shape {
  readonly format: 'raw' | 'cow'
  readonly isSparse: boolean
  readonly isIncremental: boolean
}

/** @throws ApiError 400 on a shape that the engine has no way to keep */
export const shapeOf = (body: Attributes, domain: StorageDomain): Shape => {
  if (body['format'] === undefined) throw incomplete('Disk [format] required for add')
  const format = body['format'] === 'cow' ? 'cow' : 'raw'
  const isBlock = domain.space.kind === 'block'
  const shape = {
    format,
    isSparse: (body['sparse'] ?? (format === 'cow' || !isBlock)) === true,
    isIncremental: body['backup'] === 'incremental',
  } as const
  const isWrong =
    (format === 'cow' && !shape.isSparse && !shape.isIncremental) ||
    (format === 'raw' && shape.isIncremental) ||
    (format === 'raw' && shape.isSparse && isBlock)
  if (isWrong)
    throw operationFailed(
      400,
      `Cannot add Virtual Disk. Disk configuration (${format.toUpperCase()} ${shape.isSparse ? 'Sparse' : 'Preallocated'} backup-${shape.isIncremental ? 'Incremental' : 'None'}) is incompatible with the storage domain type.`,
    )
  return shape
}

/** MaxBlockDiskSizeInGibiBytes; here for files as well, since a disk takes some memory for each 64 KiB of it. */
const MAX_DISK_BYTES = 8192 * GIB

/** @throws ApiError 400 */
export const requireSize = (sizeBytes: number, action: string): void => {
  if (sizeBytes > MAX_DISK_BYTES)
    throw operationFailed(400, `Cannot ${action}. Maximum disk size exceeded (${MAX_DISK_BYTES / GIB} GB).`)
}

/** @throws ApiError 409 where a quota is enforced and none, or a wrong one, is given */
const requireQuota = (world: World, body: Attributes, domain: StorageDomain): void => {
  if (world.plain.datacenters.get(domain.dataCenterId)?.['quota_mode'] !== 'enabled') return
  const quota = world.plain.quotas.get(String((body['quota'] as Attributes | undefined)?.['id']))
  if (quota === undefined) throw operationFailed(409, 'Cannot add Virtual Disk. Quota is not valid.')
}

/**
 * Begins to make a disk; it is locked until that is done.
 *
 * @returns the disk, and how long its creation takes, ms
 * @throws ApiError as its parts
 */
export const createDisk = async (world: World, body: Attributes): Promise<{ disk: Disk; takesMs: number }> => {
  const size = body['provisioned_size']
  if (typeof size !== 'number' || size <= 0) throw incomplete('Disk [provisionedSize] required for add')
  requireSize(size, 'add Virtual Disk')
  const domain = storageDomainFor(world, body, 'add Virtual Disk')
  const shape = shapeOf(body, domain)
  requireQuota(world, body, domain)
  const id = body['id'] === undefined ? randomUUID() : String(body['id']).toLowerCase()
  if (world.disks.has(id)) throw operationFailed(409, 'Cannot add Virtual Disk. The disk ID already exists.')
  const sizeBytes = Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES
  if (!shape.isSparse && sizeBytes > domain.space.availableBytes)
    throw operationFailed(409, `Cannot add Virtual Disk. Low disk space on Storage Domain ${domain.name}.`)
  const imageId = randomUUID()
  const volume = await SimulatedDisk.create({
    folder: join(world.folder, id),
    volumeId: imageId,
    sizeBytes,
    format: shape.format,
    isThick: !shape.isSparse,
    initialBytes: body['initial_size'] as number | undefined,
    space: domain.space,
  })
  const jobId = startJob(world, `Adding Disk ${String(body['alias'] ?? body['name'] ?? '')}`)
  const disk = diskRecord(world, { body, shape, id, imageId, volume, jobId, domain })
  world.disks.set(id, disk)
  const takesMs = CREATE_MS + (shape.isSparse ? 0 : Math.ceil((sizeBytes / GIB) * PREALLOCATE_MS_PER_GIB))
  after(world, takesMs, () => {
    disk.locks.delete('create')
    endJob(world, jobId)
  })
  return { disk, takesMs }
}

interface NewDisk {
  readonly body: Attributes
  readonly shape: Shape
  readonly id: string
  readonly imageId: string
  readonly volume: SimulatedDisk
  readonly jobId: string
  readonly domain: StorageDomain
}

const diskRecord = (world: World, made: NewDisk): Disk => {
  const { body, shape, id, imageId, volume, jobId, domain } = made
  return {
    id,
    config: {
      alias: body['alias'] ?? body['name'] ?? `disk-${id.slice(0, 8)}`,
      description: body['description'] ?? '',
      comment: '',
      format: shape.format,
      sparse: shape.isSparse,
      backup: shape.isIncremental ? 'incremental' : 'none',
      content_type: body['content_type'] ?? 'data',
      storage_type: 'image',
      shareable: body['shareable'] ?? false,
      wipe_after_delete: body['wipe_after_delete'] ?? false,
      propagate_errors: body['propagate_errors'] ?? false,
      ...(body['quota'] !== undefined && { quota: body['quota'] }),
      ...(body['disk_profile'] !== undefined && { disk_profile: body['disk_profile'] }),
    },
    storageDomainId: domain.id,
    isIllegal: false,
    locks: new Set(['create']),
    imageId,
    volume,
    createdMs: world.clock.now(),
    creationJobId: jobId,
  }
}

/** Removes a disk and its files, and takes it out of checkpoints. */
export const removeDisk = async (world: World, disk: Disk): Promise<void> => {
  world.disks.delete(disk.id)
  for (const vm of world.vms.values()) {
    vm.attachments.delete(disk.id)
    leaveCheckpoints(vm, disk.id)
  }
  await disk.volume?.remove()
}

/** A detached disk is in no checkpoint any more (CONTRACT §4.4). */
export const leaveCheckpoints = (
  vm: { checkpoints: { id: string; diskIds: readonly string[] }[] },
  diskId: string,
): void => {
  vm.checkpoints = vm.checkpoints
    .map(checkpoint => ({ ...checkpoint, diskIds: checkpoint.diskIds.filter(id => id !== diskId) }))
    .filter(({ diskIds }) => diskIds.length > 0)
}
