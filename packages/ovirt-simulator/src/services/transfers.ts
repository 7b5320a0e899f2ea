/** `/imagetransfers` (CONTRACT §5). @module */
import { randomUUID } from 'node:crypto'
import { activeBackup, requireDisksUsable, vmsOf } from '../engine/locks.ts'
import { doneJob } from '../engine/events.ts'
import { requirePermit } from '../engine/permits.ts'
import type { Transfers } from '../engine/transfers.ts'
import { isSharedByDownloads } from '../engine/transfers.ts'
import { created, done, entityOf, listOf } from '../http/answer.ts'
import type { Answer } from '../http/answer.ts'
import { incomplete, operationFailed } from '../http/api-error.ts'
import type { Call } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import { API_PATH } from '../model/schema.ts'
import type { Attributes } from '../model/schema.ts'
import type { Backup, Disk, Transfer, Vm } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { links } from '../project/links.ts'

/** TransferImageClientInactivityTimeoutInSeconds. */
const INACTIVITY_SECONDS = 60
const ACTIONS = ['finalize', 'cancel', 'pause', 'resume', 'extend'] as const

export const transferRoutes = (world: World, transfers: Transfers): Route[] => {
  const show = async (transfer: Transfer): Promise<Attributes> => await showTransfer(transfers, transfer)
  return [
    {
      method: 'GET',
      path: 'imagetransfers',
      async run() {
        const list: Attributes[] = []
        for (const transfer of world.transfers.values()) list.push(await show(transfer))
        return listOf('ImageTransfer', list)
      },
    },
    {
      method: 'GET',
      path: 'imagetransfers/:transfer',
      run: async ({ ids }) => entityOf('ImageTransfer', await show(found(world.transfers, ids['transfer']))),
    },
    {
      method: 'POST',
      path: 'imagetransfers',
      body: 'ImageTransfer',
      async run(call) {
        const transfer = plan(world, call)
        if (transfer.backupId === undefined) world.disks.get(transfer.diskId)?.locks.add(`transfer ${transfer.id}`)
        transfers.begin(transfer)
        return created('ImageTransfer', await show(transfer))
      },
    },
    ...ACTIONS.map((action): Route => ({
      method: 'POST',
      path: `imagetransfers/:transfer/${action}`,
      body: 'Action',
      run: call => act(world, transfers, action, call),
    })),
  ]
}

/** Finalize, cancel and extend of a transfer that does not exist are answered as if all were well. */
const act = (world: World, transfers: Transfers, action: (typeof ACTIONS)[number], { ids, user }: Call): Answer => {
  requirePermit(world, user, 'CREATE_DISK')
  const transfer = world.transfers.get(String(ids['transfer']).toLowerCase())
  if (action === 'pause') transfers.pause(transfer ?? found(world.transfers, ids['transfer']))
  else if (action === 'resume') transfers.resume(transfer ?? found(world.transfers, ids['transfer']))
  else if (transfer !== undefined && action !== 'extend')
    transfers.request(transfer, action === 'finalize' ? 'finalizing_success' : 'cancelled_user')
  return done(doneJob(world, `Image transfer: ${action}`))
}

const showTransfer = async (transfers: Transfers, transfer: Transfer): Promise<Attributes> => {
  const href = `${API_PATH}/imagetransfers/${transfer.id}`
  const urls = await transfers.urlsOf(transfer)
  return {
    active: transfer.isActive,
    direction: transfer.direction,
    format: transfer.format,
    ...(transfer.hostId !== undefined && { host: { id: transfer.hostId } }),
    // The disk is called image here, and the backup is not told.
    image: { id: transfer.diskId },
    inactivity_timeout: transfer.inactivityTimeoutS,
    phase: transfer.phase,
    ...(urls !== undefined && { proxy_url: urls.proxyUrl, transfer_url: urls.transferUrl }),
    shallow: transfer.isShallow,
    timeout_policy: transfer.timeoutPolicy,
    ...(transfer.transferredBytes !== undefined && { transferred: transfer.transferredBytes }),
    actions: links(href, ...ACTIONS),
    id: transfer.id,
    href,
  }
}

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

/** @throws ApiError as CONTRACT §5.1 lists them */
const plan = (world: World, { body, user }: Call): Transfer => {
  const { disk, snapshotVolumeId } = targetOf(world, body)
  requirePermit(world, user, 'EDIT_DISK_PROPERTIES', disk.id, ...vmsOf(world, disk.id).map(vm => vm.id))
  const direction = body['direction'] === 'download' ? 'download' : 'upload'
  const isNbd = body['format'] === 'raw'
  const isShallow = body['shallow'] === true
  if (disk.volume === undefined)
    throw operationFailed(409, 'Cannot transfer image. The disk storage type is not supported.')
  if (isShallow && !(isNbd && direction === 'download'))
    throw operationFailed(400, 'Cannot transfer image. Shallow transfer is supported only for raw downloads.')
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
    inactivityTimeoutS: Number(body['inactivity_timeout'] ?? INACTIVITY_SECONDS),
    timeoutPolicy: (body['timeout_policy'] as Transfer['timeoutPolicy'] | undefined) ?? 'legacy',
    hostId: hostFor(world, body, disk, backupOf?.backup),
    phase: 'initializing',
    ticketId: undefined,
    createdMs: now,
    isActive: false,
    transferredBytes: undefined,
    idleTicks: 0,
  }
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
