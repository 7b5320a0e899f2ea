/** `/vms/ID/diskattachments` (CONTRACT §2.2, §3.3). @module */
import { createDisk, leaveCheckpoints, removeDisk } from '../engine/create-disk.ts'
import { doneJob } from '../engine/events.ts'
import { requireDisksUsable, requireNoBackup, requireVmUnlocked, vmsOf } from '../engine/locks.ts'
import { requirePermit } from '../engine/permits.ts'
import { created, done, entityOf } from '../http/answer.ts'
import type { Answer } from '../http/answer.ts'
import { incomplete, operationFailed } from '../http/api-error.ts'
import { flag } from '../http/call.ts'
import type { Call } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import type { Attributes } from '../model/schema.ts'
import type { Attachment, Disk, Vm } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { showAttachment } from '../project/disk.ts'
import { belowVm } from './below-vm.ts'
import { editDisk } from './disks.ts'

export const attachmentRoutes = (world: World): Route[] => [
  ...belowVm(world, {
    name: 'diskattachments',
    type: 'DiskAttachment',
    entities: vm => [...vm.attachments.values()].map(one => showAttachment(vm, one)),
  }),
  {
    method: 'POST',
    path: 'vms/:vm/diskattachments',
    body: 'DiskAttachment',
    run: async call => await attach(world, found(world.vms, call.ids['vm']), call),
  },
  {
    method: 'PUT',
    path: 'vms/:vm/diskattachments/:disk',
    body: 'DiskAttachment',
    run: async call => await edit(world, found(world.vms, call.ids['vm']), call),
  },
  {
    method: 'DELETE',
    path: 'vms/:vm/diskattachments/:disk',
    run: async call => await detach(world, found(world.vms, call.ids['vm']), call),
  },
]

const attach = async (world: World, vm: Vm, call: Call): Promise<Answer> => {
  const { body, user } = call
  requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
  const wanted = body['disk'] as Attributes | undefined
  if (wanted === undefined) throw incomplete('DiskAttachment [disk] required for add')
  if (body['interface'] === undefined || body['bootable'] === undefined)
    throw incomplete('DiskAttachment [interface, bootable] required for add')
  requireVmUnlocked(vm, 'attach Virtual Disk')
  requireNoBackup(vm, 'attach Virtual Disk', { hybridAllowed: false })
  requireOneBootable(vm, body)
  const isNew = wanted['id'] === undefined || wanted['provisioned_size'] !== undefined
  const disk = isNew ? (await createDisk(world, wanted)).disk : existing(world, vm, wanted)
  const attachment = attachmentFor(disk, body)
  vm.attachments.set(disk.id, attachment)
  const entity = showAttachment(vm, attachment)
  return isNew
    ? created('DiskAttachment', { ...entity, creation_status: 'in_progress' }, 202)
    : created('DiskAttachment', entity)
}

export const attachmentFor = (disk: Disk, body: Attributes): Attachment => ({
  diskId: disk.id,
  isActive: (body['active'] ?? false) === true,
  isBootable: body['bootable'] === true,
  isReadOnly: body['read_only'] === true,
  passDiscard: body['pass_discard'] === true,
  interface: String(body['interface'] ?? 'virtio_scsi'),
})

/** @throws ApiError 404, or 409 when the disk is taken, locked, or elsewhere */
const existing = (world: World, vm: Vm, wanted: Attributes): Disk => {
  const disk = world.disks.get(String(wanted['id']).toLowerCase())
  if (disk === undefined) throw operationFailed(404, `Entity not found: ${String(wanted['id'])}`)
  requireDisksUsable([disk], 'attach Virtual Disk')
  if (disk.config['shareable'] !== true && vmsOf(world, disk.id).length > 0)
    throw operationFailed(409, 'Cannot attach Virtual Disk. The disk is not shareable and is already attached to a VM.')
  if (vm.attachments.has(disk.id))
    throw operationFailed(409, 'Cannot attach Virtual Disk. The disk is already attached to VM.')
  const dataCenter = world.plain.clusters.get(vm.clusterId)?.['data_center'] as Attributes | undefined
  const domain = disk.storageDomainId === undefined ? undefined : world.storageDomains.get(disk.storageDomainId)
  if (domain !== undefined && domain.dataCenterId !== dataCenter?.['id'])
    throw operationFailed(409, 'Cannot attach Virtual Disk. The disk and the VM are not in the same Data Center.')
  return disk
}

const requireOneBootable = (vm: Vm, body: Attributes): void => {
  if (body['bootable'] === true && [...vm.attachments.values()].some(one => one.isBootable))
    throw operationFailed(409, 'Cannot attach Virtual Disk. VM can only have one bootable disk.')
}

const edit = async (world: World, vm: Vm, { ids, body, user }: Call): Promise<Answer> => {
  const attachment = found(vm.attachments, ids['disk'])
  const disk = found(world.disks, attachment.diskId)
  requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
  requireNoBackup(vm, 'edit Virtual Disk', { hybridAllowed: false })
  requireDisksUsable([disk], 'edit Virtual Disk')
  if (!attachment.isBootable) requireOneBootable(vm, body)
  if (body['disk'] !== undefined) await editDisk(disk, body['disk'] as Attributes)
  const given = attachmentFor(disk, body)
  if (body['active'] !== undefined) attachment.isActive = given.isActive
  if (body['bootable'] !== undefined) attachment.isBootable = given.isBootable
  if (body['read_only'] !== undefined) attachment.isReadOnly = given.isReadOnly
  if (body['pass_discard'] !== undefined) attachment.passDiscard = given.passDiscard
  if (body['interface'] !== undefined) attachment.interface = given.interface
  return entityOf('DiskAttachment', showAttachment(vm, attachment))
}

const detach = async (world: World, vm: Vm, call: Call): Promise<Answer> => {
  const attachment = found(vm.attachments, call.ids['disk'])
  const disk = found(world.disks, attachment.diskId)
  requirePermit(world, call.user, 'EDIT_VM_PROPERTIES', vm.id)
  requireNoBackup(vm, 'detach Virtual Disk', { hybridAllowed: false })
  if (disk.locks.size > 0) requireDisksUsable([disk], 'detach Virtual Disk')
  if (flag(call, 'detach_only')) {
    vm.attachments.delete(disk.id)
    leaveCheckpoints(vm, disk.id)
  } else await removeDisk(world, disk)
  return done(doneJob(world, 'Detaching Disk'))
}
