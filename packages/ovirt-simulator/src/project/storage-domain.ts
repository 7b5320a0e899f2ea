/** Storage domains as the API shows them: their status only below a data center (CONTRACT §2.5). @module */
import type { Attributes } from '../model/schema.ts'
import { API_PATH } from '../model/schema.ts'
import type { StorageDomain } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { links } from './links.ts'

const GIB = 1024 ** 3

export const showStorageDomain = (world: World, domain: StorageDomain, isBelowDataCenter: boolean): Attributes => {
  const { id, name, kind, space, status, dataCenterId } = domain
  const href = `${API_PATH}/storagedomains/${id}`
  const isAttached = world.plain.datacenters.has(dataCenterId)
  return {
    name,
    type: kind === 'iso' ? 'iso' : 'data',
    ...(isBelowDataCenter ? { status } : !isAttached && { status: 'unattached' }),
    master: false,
    storage: storageOf(domain),
    // Numbers of a domain that nobody looks at are absent; else whole GiB.
    ...(status === 'active' && {
      available: floorGib(space.availableBytes),
      used: space.capacityBytes - floorGib(space.availableBytes),
      committed: committedBytes(world, domain),
    }),
    storage_format: 'v5',
    wipe_after_delete: false,
    discard_after_delete: kind !== 'nfs' && kind !== 'iso',
    supports_discard: kind !== 'iso',
    warning_low_space_indicator: 10,
    critical_space_action_blocker: domain.criticalGib,
    backup: domain.isBackup,
    block_size: 512,
    ...(isAttached && { data_centers: [{ id: dataCenterId }] }),
    link: links(href, 'disks', 'diskprofiles', 'disksnapshots', 'files', 'permissions', 'templates', 'vms'),
    id,
    href: isBelowDataCenter ? `${API_PATH}/datacenters/${dataCenterId}/storagedomains/${id}` : href,
  }
}

const floorGib = (bytes: number): number => Math.floor(bytes / GIB) * GIB

const committedBytes = (world: World, domain: StorageDomain): number =>
  [...world.disks.values()]
    .filter(disk => disk.storageDomainId === domain.id)
    .reduce((sum, disk) => sum + (disk.volume?.sizeBytes ?? 0), 0)

const storageOf = ({ id, name, kind }: StorageDomain): Attributes => {
  if (kind === 'nfs' || kind === 'iso') return { type: 'nfs', address: 'storage.example.com', path: `/exports/${name}` }
  const unit = {
    address: 'storage.example.com',
    port: 3260,
    target: `iqn.2026-01.com.example:${name}`,
    id: `36001${id}`,
  }
  const { address, port, target, id: lun } = unit
  const logical: Attributes = kind === 'iscsi' ? { address, port, target, id: lun } : { id: lun }
  return { type: kind, volume_group: { id: `vg-${id}`, name: id, logical_units: [logical] } }
}
