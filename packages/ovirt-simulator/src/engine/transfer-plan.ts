/** Whether an image transfer may begin, of what, and through which host (CONTRACT §5.1, §5.7). @module */
import { randomUUID } from 'node:crypto'
import { incomplete, operationFailed } from '../http/api-error.ts'
import type { Call } from '../http/call.ts'
import type { Attributes } from '../model/schema.ts'
import type { Backup, Disk, Transfer, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { activeBackup, requireDisksUsable, vmsOf } from './locks.ts'
import { requirePermit } from './permits.ts'

/** TransferImageClientInactivityTimeoutInSeconds. */
const INACTIVITY_SECONDS = 60

const idIn = (body: Attributes, name: string): string | undefined => {
  const id = (body[name] as Attributes | undefined)?.['id']
  return id === undefined ? undefined : String(id).toLowerCase()
}

interface Target {
  readonly disk: Disk
  readonly snapshotVolumeId: string | undefined
}

/** @throws ApiError 400 without a disk, 404 for an unknown one */
const targetOf = (world: World, body: Attributes): Target => {
  const layerId = idIn(body, 'snapshot')
  const diskId = idIn(body, 'disk') ?? idIn(body, 'image')
  if (layerId === undefined && diskId === undefined)
    throw incomplete('ImageTransfer [disk.id | image.id | snapshot.id] required for add')
  const disk = [...world.disks.values()].find(one =>
    layerId === undefined ? one.id === diskId : one.volume?.volumes.some(layer => layer.volumeId === layerId) === true,
  )
  if (disk === undefined) throw operationFailed(404, `Entity not found: ${String(layerId ?? diskId)}`)
  return { disk, snapshotVolumeId: layerId }
}

/** A transfer that may begin. @throws ApiError as CONTRACT §5.1 lists them */
export const planTransfer = (world: World, { body, user }: Pick<Call, 'body' | 'user'>): Transfer => {
  const { disk, snapshotVolumeId } = targetOf(world, body)
  requirePermit(world, user, 'EDIT_DISK_PROPERTIES', disk.id, ...vmsOf(world, disk.id).map(vm => vm.id))
  const direction = body['direction'] === 'download' ? 'download' : 'upload'
  const isNbd = body['format'] === 'raw'
  const isShallow = body['shallow'] === true
  if (disk.volume === undefined)
    throw operationFailed(409, 'Cannot transfer image. The disk storage type is not supported.')
  if (isShallow && !(isNbd && direction === 'download'))
    throw operationFailed(400, 'Cannot transfer image. Shallow transfer is supported only for raw downloads.')
  const inactivityTimeoutS = inactivityTimeoutOf(body)
  requireDomainActive(world, disk)
  const backupOf = backupFor(world, body, disk, isNbd)
  if (backupOf === undefined) requireDiskFree(world, disk, { direction, isSnapshot: snapshotVolumeId !== undefined })
  const now = world.clock.now()
  return {
    id: randomUUID(),
    diskId: disk.id,
    snapshotVolumeId,
    backupId: backupOf?.backup.id,
    vmId: (backupOf?.vm ?? vmsOf(world, disk.id)[0])?.id,
    direction,
    format: isNbd ? 'raw' : formatOf(disk),
    isFile: !isNbd,
    isShallow,
    inactivityTimeoutS,
    timeoutPolicy: (body['timeout_policy'] as Transfer['timeoutPolicy'] | undefined) ?? 'legacy',
    hostId: hostFor(world, body, disk, backupOf?.backup),
    phase: 'initializing',
    createdMs: now,
    isActive: false,
    transferredBytes: undefined,
    idleTicks: 0,
  }
}

const inactivityTimeoutOf = (body: Attributes): number => {
  const seconds = Number(body['inactivity_timeout'] ?? INACTIVITY_SECONDS)
  if (seconds >= 0 && seconds < 2 ** 31) return seconds
  throw operationFailed(400, `Cannot transfer image. ${seconds} is no inactivity timeout.`)
}

const formatOf = (disk: Disk): Transfer['format'] => (disk.config['format'] === 'cow' ? 'cow' : 'raw')

const requireDomainActive = (world: World, disk: Disk): void => {
  const domain = world.storageDomains.get(disk.storageDomainId ?? '')
  if (domain?.status !== 'active')
    throw operationFailed(
      409,
      `Cannot transfer image. The relevant Storage Domain's status is ${String(domain?.status)}.`,
    )
}

/** @throws ApiError 404 for an unknown backup, 409 for one that is not ready, 400 for what it has no such disk or format */
const backupFor = (
  world: World,
  body: Attributes,
  disk: Disk,
  isNbd: boolean,
): { vm: Vm; backup: Backup } | undefined => {
  const id = idIn(body, 'backup')
  if (id === undefined) return undefined
  const vm = [...world.vms.values()].find(one => one.backups.has(id))
  const backup = vm?.backups.get(id)
  if (vm === undefined || backup === undefined)
    throw operationFailed(400, 'Cannot transfer image. The backup does not exist.')
  if (backup.phase !== 'ready' || backup.isStopping)
    throw operationFailed(409, 'Cannot transfer image. The backup is not ready.')
  if (!backup.disks.some(({ diskId }) => diskId === disk.id))
    throw operationFailed(400, 'Cannot transfer image. The disk is not part of the backup.')
  if (!isNbd) throw operationFailed(400, 'Cannot transfer image. Only RAW format is supported for backup.')
  if (body['direction'] !== 'download')
    throw operationFailed(400, 'Cannot transfer image. Only download is supported for backup.')
  return { vm, backup }
}

/** @throws ApiError 409 for a disk that a running VM uses, that is locked, or illegal */
const requireDiskFree = (
  world: World,
  disk: Disk,
  { direction, isSnapshot }: { direction: string; isSnapshot: boolean },
): void => {
  const isPlugged = vmsOf(world, disk.id).some(
    vm => vm.status !== 'down' && vm.attachments.get(disk.id)?.isActive === true,
  )
  if (isPlugged && !isSnapshot)
    throw operationFailed(
      409,
      'Cannot transfer image. The disk is attached to VMs that are not down: it is plugged to non-Down VMs.',
    )
  const isShared = direction === 'download' && !disk.isIllegal && isSharedByDownloads(world, disk)
  if (!isShared && !isSnapshot) requireDisksUsable([disk], 'transfer image')
}

/** Live backups go by the VM's host, also hybrid ones of a running VM; else any active host that has the storage. */
const hostFor = (world: World, body: Attributes, disk: Disk, backup: Backup | undefined): string => {
  const vm = backup === undefined ? undefined : [...world.vms.values()].find(one => activeBackup(one) === backup)
  const running = backup?.hostId ?? vm?.hostId
  if (running !== undefined) return running
  const dataCenterId = world.storageDomains.get(disk.storageDomainId ?? '')?.dataCenterId
  const hosts = [...world.plain.hosts.values()].filter(host => {
    const cluster = world.plain.clusters.get(String((host['cluster'] as Attributes)['id']))
    return host['status'] === 'up' && (cluster?.['data_center'] as Attributes | undefined)?.['id'] === dataCenterId
  })
  const wanted = idIn(body, 'host')
  const host = wanted === undefined ? hosts[0] : hosts.find(one => one['id'] === wanted)
  if (host === undefined)
    throw operationFailed(409, 'Cannot transfer image. There is no active Host in the Data Center.')
  return String(host['id'])
}

/** Whether nothing but downloads keeps a disk locked: another may share it. */
const isSharedByDownloads = (world: World, disk: Disk): boolean =>
  [...disk.locks].every(lock => {
    const [what, id = ''] = lock.split(' ')
    return what === 'transfer' && world.transfers.get(id)?.direction === 'download'
  })
