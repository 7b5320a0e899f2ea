/** Disks, attachments and layers as the API shows them (CONTRACT §2.2). @module */
import type { Attributes } from '../model/schema.ts'
import { API_PATH } from '../model/schema.ts'
import type { Attachment, Disk, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { isAtLeast } from '../profiles.ts'
import { links } from './links.ts'

export const isLocked = (disk: Disk): boolean => disk.locks.size > 0

export const showDisk = (world: World, disk: Disk): Attributes => {
  const { id, config, volume, imageId, storageDomainId } = disk
  const href = `${API_PATH}/disks/${id}`
  const layers = volume?.volumes ?? []
  const isImage = volume !== undefined
  const isCow = config['format'] === 'cow'
  const profile = [...world.plain.diskprofiles.values()].find(
    one => (one['storage_domain'] as Attributes | undefined)?.['id'] === storageDomainId,
  )
  return {
    ...config,
    name: config['alias'],
    ...(isImage && {
      image_id: imageId,
      provisioned_size: volume.sizeBytes,
      actual_size: layers.at(-1)?.allocatedBytes ?? 0,
      total_size: layers.reduce((sum, layer) => sum + layer.allocatedBytes, 0),
      ...(isCow && { qcow_version: 'qcow2_v3' }),
    }),
    status: disk.isIllegal ? 'illegal' : isLocked(disk) ? 'locked' : 'ok',
    ...(config['disk_profile'] === undefined && profile !== undefined && { disk_profile: { id: profile['id'] } }),
    ...(storageDomainId !== undefined && { storage_domains: [{ id: storageDomainId }] }),
    ...(isImage && {
      ...(isAtLeast(world.profile, 4, 5, 0) && { actions: links(href, 'convert') }),
    }),
    link: links(href, 'disksnapshots', 'permissions', 'statistics'),
    id,
    href,
  }
}

export const showAttachment = (vm: Vm, attachment: Attachment): Attributes => ({
  active: attachment.isActive,
  bootable: attachment.isBootable,
  interface: attachment.interface,
  pass_discard: attachment.passDiscard,
  read_only: attachment.isReadOnly,
  uses_scsi_reservation: false,
  disk: { id: attachment.diskId },
  vm: { id: vm.id },
  id: attachment.diskId,
  href: `${API_PATH}/vms/${vm.id}/diskattachments/${attachment.diskId}`,
})

/** The layers of a disk: `disk_snapshot`s, whose ids are those of their volumes. */
export const showDiskSnapshots = (world: World, disk: Disk): Attributes[] => {
  const layers = disk.volume?.volumes ?? []
  const vm = [...world.vms.values()].find(({ attachments }) => attachments.has(disk.id))
  return layers.map((layer, n) => {
    const snapshot = [...(vm?.snapshots.values() ?? [])].find(({ type, volumes }) =>
      n === layers.length - 1 ? type === 'active' : volumes.get(disk.id) === layer.volumeId,
    )
    const below = layers[n - 1]
    return {
      alias: disk.config['alias'],
      name: disk.config['alias'],
      image_id: layer.volumeId,
      actual_size: layer.allocatedBytes,
      provisioned_size: layer.sizeBytes,
      format: layer.format,
      sparse: disk.config['sparse'],
      status: isLocked(disk) ? 'locked' : 'ok',
      storage_type: 'image',
      content_type: 'data',
      disk: { id: disk.id },
      ...(below !== undefined && { parent: { id: below.volumeId } }),
      ...(vm !== undefined &&
        snapshot !== undefined && {
          snapshot: { id: snapshot.id, href: `${API_PATH}/vms/${vm.id}/snapshots/${snapshot.id}` },
        }),
      ...(disk.storageDomainId !== undefined && { storage_domains: [{ id: disk.storageDomainId }] }),
      id: layer.volumeId,
      href: `${API_PATH}/disks/${disk.id}/disksnapshots/${layer.volumeId}`,
    }
  })
}
