/** Storage domains, also below data centers, and what is in them (CONTRACT §2.5). @module */
import { entityOf, listOf } from '../http/answer.ts'
import { notFound } from '../http/api-error.ts'
import type { Route } from '../http/routes.ts'
import type { Disk, StorageDomain } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import type { Attributes } from '../model/schema.ts'
import { API_PATH } from '../model/schema.ts'
import { showDisk, showDiskSnapshots } from '../project/disk.ts'
import { showStorageDomain } from '../project/storage-domain.ts'
import { showVm } from '../project/vm.ts'
import { listed } from './collection.ts'

export const storageDomainRoutes = (world: World): Route[] => {
  const inDataCenter = (id: string | undefined): Map<string, ReturnType<typeof showStorageDomain>> => {
    found(world.plain.datacenters, id)
    const domains = [...world.storageDomains.values()].filter(domain => domain.dataCenterId === id)
    return new Map(domains.map(domain => [domain.id, showStorageDomain(world, domain, true)]))
  }
  return [
    {
      method: 'GET',
      path: 'storagedomains',
      run(call) {
        const entities = [...world.storageDomains.values()].map(domain => showStorageDomain(world, domain, false))
        return listed(world, call, { name: 'storagedomains', type: 'StorageDomain', entities })
      },
    },
    {
      method: 'GET',
      path: 'storagedomains/:id',
      run: ({ ids }) =>
        entityOf('StorageDomain', showStorageDomain(world, found(world.storageDomains, ids['id']), false)),
    },
    {
      method: 'GET',
      path: 'datacenters/:id/storagedomains',
      run: ({ ids }) => listOf('StorageDomain', [...inDataCenter(ids['id']).values()]),
    },
    {
      method: 'GET',
      path: 'datacenters/:id/storagedomains/:domain',
      run: ({ ids }) => entityOf('StorageDomain', found(inDataCenter(ids['id']), ids['domain'])),
    },
    ...contentRoutes(world),
  ]
}

const showFile = ({ id }: StorageDomain, name: string): Attributes => ({
  name,
  type: 'iso',
  id: name,
  href: `${API_PATH}/storagedomains/${id}/files/${name}`,
})

/** What is in a domain. */
const contentRoutes = (world: World): Route[] => {
  const disksIn = (id: string): Disk[] => [...world.disks.values()].filter(disk => disk.storageDomainId === id)
  return [
    {
      method: 'GET',
      path: 'storagedomains/:id/disks',
      run: ({ ids }) => {
        const disks = disksIn(found(world.storageDomains, ids['id']).id)
        return listOf(
          'Disk',
          disks.map(disk => showDisk(world, disk)),
        )
      },
    },
    {
      method: 'GET',
      path: 'storagedomains/:id/disksnapshots',
      run: ({ ids }) => {
        const disks = disksIn(found(world.storageDomains, ids['id']).id)
        return listOf(
          'DiskSnapshot',
          disks.flatMap(disk => showDiskSnapshots(world, disk)),
        )
      },
    },
    {
      method: 'GET',
      path: 'storagedomains/:id/vms',
      run: ({ ids }) => {
        const inside = new Set(disksIn(found(world.storageDomains, ids['id']).id).map(disk => disk.id))
        const vms = [...world.vms.values()].filter(vm => [...vm.attachments.keys()].some(id => inside.has(id)))
        return listOf(
          'Vm',
          vms.map(vm => showVm(world, vm)),
        )
      },
    },
    {
      method: 'GET',
      path: 'storagedomains/:id/files',
      run: ({ ids }) => {
        const domain = found(world.storageDomains, ids['id'])
        return listOf(
          'File',
          domain.files.map(name => showFile(domain, name)),
        )
      },
    },
    {
      method: 'GET',
      path: 'storagedomains/:id/files/:file',
      run: ({ ids }) => {
        const domain = found(world.storageDomains, ids['id'])
        const name = domain.files.find(one => one === ids['file'])
        if (name === undefined) throw notFound()
        return entityOf('File', showFile(domain, name))
      },
    },
  ]
}
