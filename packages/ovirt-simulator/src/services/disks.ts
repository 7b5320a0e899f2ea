/** `/disks` and their layers (CONTRACT §2.2). @module */
import { convertDisk } from '../engine/convert-disk.ts'
import { createDisk, removeDisk, requireSize } from '../engine/create-disk.ts'
import { doneJob } from '../engine/events.ts'
import { requireDisksUsable, requireNoBackup, vmsOf } from '../engine/locks.ts'
import { isShown, requirePermit } from '../engine/permits.ts'
import { created, done, entityOf, listOf, running } from '../http/answer.ts'
import type { Answer } from '../http/answer.ts'
import { notFound, operationFailed } from '../http/api-error.ts'
import type { Call } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import type { Attributes } from '../model/schema.ts'
import type { Disk } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { showDisk, showDiskSnapshots } from '../project/disk.ts'
import { isRunning } from '../project/vm.ts'
import { listed } from './collection.ts'

/** Attributes that may change while a disk exists. */
const EDITABLE = ['alias', 'description', 'wipe_after_delete', 'propagate_errors', 'backup', 'disk_profile', 'quota']

export const diskRoutes = (world: World): Route[] => [
  {
    method: 'GET',
    path: 'disks',
    run(call) {
      const entities = [...world.disks.values()]
        .filter(disk => isShown(world, call, disk.id) || vmsOf(world, disk.id).some(vm => isShown(world, call, vm.id)))
        .map(disk => showDisk(world, disk))
      return listed(world, call, { name: 'disks', type: 'Disk', entities })
    },
  },
  { method: 'GET', path: 'disks/:disk', run: ({ ids }) => show(world, found(world.disks, ids['disk'])) },
  { method: 'POST', path: 'disks', body: 'Disk', run: async call => await add(world, call) },
  {
    method: 'PUT',
    path: 'disks/:disk',
    body: 'Disk',
    async run({ ids, body, user }) {
      const disk = found(world.disks, ids['disk'])
      requirePermit(world, user, 'EDIT_DISK_PROPERTIES', disk.id)
      requireDisksUsable([disk], 'edit Virtual Disk')
      await editDisk(disk, body)
      return show(world, disk)
    },
  },
  {
    method: 'DELETE',
    path: 'disks/:disk',
    async run({ ids, user }) {
      const disk = found(world.disks, ids['disk'])
      requirePermit(world, user, 'EDIT_DISK_PROPERTIES', disk.id)
      if (disk.locks.size > 0) requireDisksUsable([disk], 'remove Virtual Disk')
      for (const vm of vmsOf(world, disk.id)) requireNoBackup(vm, 'remove Virtual Disk', { hybridAllowed: false })
      if (vmsOf(world, disk.id).some(vm => isRunning(vm) && vm.attachments.get(disk.id)?.isActive === true))
        throw operationFailed(409, 'Cannot remove Virtual Disk. At least one of the VMs is not down.')
      await removeDisk(world, disk)
      return done(doneJob(world, 'Removing Disk'))
    },
  },
  {
    method: 'POST',
    path: 'disks/:disk/convert',
    body: 'Action',
    failsAsAction: true,
    run({ ids, body, user }) {
      const disk = found(world.disks, ids['disk'])
      requirePermit(world, user, 'EDIT_DISK_PROPERTIES', disk.id)
      return running(convertDisk(world, disk, body['disk'] as Attributes | undefined))
    },
  },
  {
    method: 'GET',
    path: 'disks/:disk/creation_status/:job',
    run({ ids }) {
      const disk = found(world.disks, ids['disk'])
      if (disk.creationJobId !== ids['job']) throw notFound()
      return entityOf('Creation', { status: disk.locks.has('create') ? 'in_progress' : 'complete' })
    },
  },
  {
    method: 'GET',
    path: 'disks/:disk/disksnapshots',
    run: ({ ids }) => listOf('DiskSnapshot', showDiskSnapshots(world, found(world.disks, ids['disk']))),
  },
  {
    method: 'GET',
    path: 'disks/:disk/disksnapshots/:layer',
    run: ({ ids }) => entityOf('DiskSnapshot', layerOf(world, found(world.disks, ids['disk']), ids['layer'])),
  },
]

const show = (world: World, disk: Disk): Answer => entityOf('Disk', showDisk(world, disk))

const layerOf = (world: World, disk: Disk, id: string | undefined): Attributes =>
  found(new Map(showDiskSnapshots(world, disk).map(layer => [String(layer['id']), layer])), id)

const add = async (world: World, call: Call): Promise<Answer> => {
  const [domain] = (call.body['storage_domains'] ?? []) as readonly Attributes[]
  requirePermit(world, call.user, 'CREATE_DISK', String(domain?.['id']))
  const { disk, takesMs } = await createDisk(world, call.body)
  return await createdDisk(world, call, { disk, takesMs })
}

/** 202 with the state of the creation, or 201 once it is done. */
const createdDisk = async (world: World, call: Call, made: { disk: Disk; takesMs: number }): Promise<Answer> => {
  if (call.prefersBlocking) {
    await call.wait(made.takesMs)
    return created('Disk', showDisk(world, made.disk))
  }
  const entity = showDisk(world, made.disk)
  const link = [
    ...(entity['link'] as Attributes[]),
    { rel: 'creation_status', href: `${String(entity['href'])}/creation_status/${String(made.disk.creationJobId)}` },
  ]
  return created('Disk', { ...entity, creation_status: 'in_progress', link }, 202)
}

/** @throws ApiError 409 where the disk cannot become so */
export const editDisk = async (disk: Disk, body: Attributes): Promise<void> => {
  if (body['backup'] === 'incremental' && disk.config['format'] === 'raw')
    throw operationFailed(409, 'Cannot edit Virtual Disk. Incremental backup is not supported for RAW disks.')
  const size = body['provisioned_size']
  if (typeof size === 'number' && disk.volume !== undefined && size !== disk.volume.sizeBytes) {
    if (size < disk.volume.sizeBytes)
      throw operationFailed(409, 'Cannot edit Virtual Disk. New disk size must be larger than the current disk size.')
    requireSize(size, 'edit Virtual Disk')
    await disk.volume.resize(size)
  }
  const changes = Object.fromEntries(EDITABLE.flatMap(name => (body[name] === undefined ? [] : [[name, body[name]]])))
  disk.config = { ...disk.config, ...changes, ...(body['name'] !== undefined && { alias: body['name'] }) }
}
