/** Which fields of which collection can be searched. @module */
import type { Attributes } from '../model/schema.ts'
import type { World } from '../model/world.ts'
import type { Fields } from './query.ts'

type FieldsOf = (world: World, entity: Attributes) => Fields

const text = (value: unknown): string | undefined => (value === undefined ? undefined : String(value))
const idOf = (link: unknown): string => String((link as Attributes | undefined)?.['id'])
const nameIn = (table: ReadonlyMap<string, { readonly name?: unknown }>, link: unknown): string | undefined =>
  text(table.get(idOf(link))?.name)

const common = (entity: Attributes): Fields => ({
  name: text(entity['name']),
  id: text(entity['id']),
  description: text(entity['description']),
  comment: text(entity['comment']),
})

const dataCenterOfCluster = (world: World, link: unknown): string | undefined =>
  nameIn(world.plain.datacenters, world.plain.clusters.get(idOf(link))?.['data_center'])

/** The names of the storage domains of a data center. */
const storageNames = (world: World, dataCenterId: unknown): string[] =>
  [...world.storageDomains.values()].filter(one => one.dataCenterId === dataCenterId).map(one => one.name)

export const SEARCH_FIELDS: Readonly<Record<string, FieldsOf>> = {
  vms(world, vm) {
    const state = world.vms.get(String(vm['id']))
    return {
      ...common(vm),
      status: text(vm['status']),
      cluster: nameIn(world.plain.clusters, vm['cluster']),
      host: nameIn(world.plain.hosts, vm['host']),
      'hosts.name': nameIn(world.plain.hosts, vm['host']),
      datacenter: dataCenterOfCluster(world, vm['cluster']),
      template: nameIn(world.plain.templates, vm['template']),
      fqdn: text(vm['fqdn']),
      origin: text(vm['origin']),
      tag: [...(state?.tags ?? [])].map(id => String(world.plain.tags.get(id)?.['name'])),
      'storage.name': [...(state?.attachments.keys() ?? [])].map(id => {
        const domainId = world.disks.get(id)?.storageDomainId
        return String(domainId === undefined ? undefined : world.storageDomains.get(domainId)?.name)
      }),
    }
  },
  hosts: (world, host) => ({
    ...common(host),
    status: text(host['status']),
    address: text(host['address']),
    cluster: nameIn(world.plain.clusters, host['cluster']),
    datacenter: dataCenterOfCluster(world, host['cluster']),
    hw_id: text((host['hardware_information'] as Attributes | undefined)?.['uuid']),
  }),
  disks: (world, disk) => {
    const state = world.disks.get(String(disk['id']))
    const vms = [...world.vms.values()].filter(vm => vm.attachments.has(String(disk['id'])))
    return {
      ...common(disk),
      alias: text(disk['alias']),
      status: text(disk['status']),
      disk_type: text(disk['storage_type']),
      disk_content_type: text(disk['content_type']),
      bootable: text(vms.some(vm => vm.attachments.get(String(disk['id']))?.isBootable === true)),
      provisioned_size: text(disk['provisioned_size']),
      'storage.name': text(world.storageDomains.get(state?.storageDomainId ?? '')?.name),
      storage: text(world.storageDomains.get(state?.storageDomainId ?? '')?.name),
      vm_names: vms.map(vm => String(vm.config['name'])),
      'vm.name': vms.map(vm => String(vm.config['name'])),
    }
  },
  storagedomains: (world, domain) => {
    const state = world.storageDomains.get(String(domain['id']))
    return {
      ...common(domain),
      status: state?.status,
      type: text(domain['type']),
      datacenter: text(world.plain.datacenters.get(state?.dataCenterId ?? '')?.['name']),
    }
  },
  datacenters: (world, dataCenter) => ({
    ...common(dataCenter),
    status: text(dataCenter['status']),
    'storage.name': storageNames(world, dataCenter['id']),
    'clusters.name': [...world.plain.clusters.values()]
      .filter(one => idOf(one['data_center']) === dataCenter['id'])
      .map(one => String(one['name'])),
  }),
  clusters: (world, cluster) => ({
    ...common(cluster),
    datacenter: nameIn(world.plain.datacenters, cluster['data_center']),
  }),
  networks: (world, network) => ({
    ...common(network),
    datacenter: nameIn(world.plain.datacenters, network['data_center']),
  }),
  templates: (world, template) => ({ ...common(template), cluster: nameIn(world.plain.clusters, template['cluster']) }),
  users: (_world, user) => ({ ...common(user), usrname: text(user['user_name']) }),
  vnicprofiles: (_world, profile) => common(profile),
  events: (world, event) => ({
    ...common(event),
    message: text(event['description']),
    severity: text(event['severity']),
    type: text(event['code']),
    correlation_id: text(event['correlation_id']),
    time: text(event['time']),
    'vm.name': text(world.vms.get(idOf(event['vm']))?.config['name']),
    'host.name': nameIn(world.plain.hosts, event['host']),
    event_host: nameIn(world.plain.hosts, event['host']),
    event_vm: text(world.vms.get(idOf(event['vm']))?.config['name']),
    event_storage: nameIn(world.storageDomains, event['storage_domain']),
    'storage.name': nameIn(world.storageDomains, event['storage_domain']),
  }),
}
