/** A VM from its OVF: ids and MACs kept or drawn anew, disks found by their ids (CONTRACT §3.4). @module */
import { randomUUID } from 'node:crypto'
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { operationFailed } from '../http/api-error.ts'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { BLANK_ID } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { createVm, linked } from './create-vm.ts'
import { EVENT, addEvent } from './events.ts'
import { vmsOf } from './locks.ts'
import { nextMac, requireMacFree } from './mac-pool.ts'

type Node = { readonly [name: string]: Node | readonly Node[] | string | undefined }

const MIB = 1024 ** 2
const NIC_TYPES = ['rtl8139_virtio', 'rtl8139', 'e1000', 'virtio', 'spapr_vlan', 'pci_passthrough'] as const
const BIOS_TYPES = ['cluster_default', 'i440fx_sea_bios', 'q35_sea_bios', 'q35_ovmf', 'q35_secure_boot'] as const
const INTERFACES: Readonly<Record<string, string>> = {
  VirtIO: 'virtio',
  VirtIO_SCSI: 'virtio_scsi',
  IDE: 'ide',
  SATA: 'sata',
  SPAPR_VSCSI: 'spapr_vscsi',
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  removeNSPrefix: true,
  parseTagValue: false,
})

const list = (value: Node[string]): readonly Node[] =>
  value === undefined || value === '' ? [] : Array.isArray(value) ? (value as readonly Node[]) : [value as Node]
const text = (value: Node[string]): string | undefined => (typeof value === 'string' ? value : undefined)
const textIn = (node: Node | undefined, name: string, fallback = ''): string => text(node?.[name]) ?? fallback

export interface OvfImport {
  /** Attributes beside the OVF override it. */
  readonly body: Attributes
  readonly ovf: string
  readonly regenerateIds: boolean
}

/** @throws ApiError 400 on an OVF that cannot be read; 409 when the id, the name or a MAC is taken */
export const importOvf = (world: World, { body, ovf, regenerateIds }: OvfImport): Vm => {
  const content = parseOvf(ovf)
  const sections = list(content['Section'])
  const sectionOf = (type: string): Node => sections.find(one => String(one['@type']).includes(type)) ?? {}
  const oldId = text(sectionOf('OperatingSystemSection')['@id'])
  const items = list(sectionOf('VirtualHardwareSection')['Item'])
  const cluster = linked(
    world.plain.clusters,
    body['cluster'] as Attributes | undefined,
    'Vm [cluster.id|name] required for add',
  )
  const id = regenerateIds || oldId === undefined ? randomUUID() : oldId.toLowerCase()
  if (world.vms.has(id)) throw operationFailed(409, 'Cannot import VM. VM with the same identifier already exists.')
  const nics = items.filter(item => item['ResourceType'] === '10')
  if (!regenerateIds) for (const nic of nics) requireMacFree(world, String(cluster['id']), String(nic['MACAddress']))
  const { initialization: _, ...overrides } = body
  const config = { ...configOf(content, sectionOf('OperatingSystemSection'), items), ...overrides }
  const vm = createVm(world, { id, body: { ...config, template: { id: BLANK_ID }, cluster: { id: cluster['id'] } } })
  for (const nic of nics) addNic(world, vm, nic, regenerateIds)
  attachDisks(world, vm, list(content['disks']), items)
  return vm
}

/** The content of the envelope, and in `disks` its disk section. */
const parseOvf = (ovf: string): Node => {
  const document = XMLValidator.validate(ovf) === true ? (parser.parse(ovf) as Node) : {}
  const envelope = document['Envelope'] as Node | undefined
  const content = envelope?.['Content'] as Node | undefined
  if (envelope === undefined || content === undefined)
    throw operationFailed(400, 'Cannot import VM. The OVF configuration could not be parsed.')
  const disks = list(envelope['Section']).find(one => String(one['@type']).includes('DiskSection'))?.['Disk']
  return disks === undefined ? content : { ...content, disks }
}

const configOf = (content: Node, system: Node, items: readonly Node[]): Attributes => {
  const cpu = items.find(item => item['ResourceType'] === '3')
  const memory = items.find(item => item['ResourceType'] === '4')
  const properties = textIn(content, 'UserDefinedProperties').split(';').filter(Boolean)
  return {
    name: textIn(content, 'Name'),
    description: textIn(content, 'Description'),
    comment: textIn(content, 'Comment'),
    memory: Number(textIn(memory, 'VirtualQuantity', '1024')) * MIB,
    cpu: {
      architecture: 'x86_64',
      topology: {
        sockets: Number(textIn(cpu, 'num_of_sockets', '1')),
        cores: Number(textIn(cpu, 'cpu_per_socket', '1')),
        threads: Number(textIn(cpu, 'threads_per_cpu', '1')),
      },
    },
    bios: {
      boot_menu: { enabled: false },
      type: BIOS_TYPES[Number(textIn(content, 'BiosType', '2'))] ?? 'q35_sea_bios',
    },
    os: { type: textIn(system, 'Description', 'other'), boot: { devices: ['hd'] } },
    type: (['desktop', 'server', 'high_performance'] as const)[Number(textIn(content, 'VmType', '1'))] ?? 'server',
    time_zone: { name: textIn(content, 'TimeZone', 'Etc/GMT') },
    delete_protected: content['DeleteProtected'] === 'true',
    stateless: content['IsStateless'] === 'true',
    high_availability: {
      enabled: content['AutoStartup'] === 'true',
      priority: Number(textIn(content, 'Priority', '1')),
    },
    ...(properties.length > 0 && {
      custom_properties: properties.map(pair => {
        const [name = '', ...value] = pair.split('=')
        return { name, value: value.join('=') }
      }),
    }),
  }
}

const addNic = (world: World, vm: Vm, item: Node, regenerateIds: boolean): void => {
  const id = regenerateIds ? randomUUID() : (text(item['InstanceId']) ?? randomUUID())
  const address = regenerateIds ? nextMac(world, vm.clusterId) : String(item['MACAddress']).toLowerCase()
  const profile = [...world.plain.vnicprofiles.values()].find(one => {
    const network = world.plain.networks.get(String((one['network'] as Attributes)['id']))
    return one['name'] === text(item['OtherResourceType']) && network?.['name'] === text(item['Connection'])
  })
  vm.nics.set(id, {
    id,
    name: text(item['Name']) ?? 'nic1',
    interface: NIC_TYPES[Number(item['ResourceSubType'] ?? 3)] ?? 'virtio',
    mac: { address },
    linked: item['Linked'] !== 'false',
    plugged: item['IsPlugged'] !== 'false',
    synced: true,
    ...(profile !== undefined && { vnic_profile: { id: profile['id'] } }),
  })
}

/** Disks are not made: floating ones with the same ids are attached, and what fails is only an event. */
const attachDisks = (world: World, vm: Vm, disks: readonly Node[], items: readonly Node[]): void => {
  const missing: string[] = []
  for (const node of disks) {
    const [diskId = ''] = String(node['@fileRef']).split('/')
    const disk = world.disks.get(diskId.toLowerCase())
    const isFree = disk !== undefined && disk.locks.size === 0 && !disk.isIllegal && vmsOf(world, disk.id).length === 0
    if (!isFree) {
      missing.push(diskId)
      continue
    }
    const item = items.find(one => String(one['HostResource']).startsWith(diskId))
    vm.attachments.set(disk.id, {
      diskId: disk.id,
      isActive: item?.['IsPlugged'] !== 'false',
      isBootable: node['@boot'] === 'true',
      isReadOnly: node['@read-only'] === 'true',
      passDiscard: node['@pass-discard'] === 'true',
      interface: INTERFACES[String(node['@disk-interface'])] ?? 'virtio_scsi',
    })
  }
  if (missing.length === 0) return
  const message = `VM ${String(vm.config['name'])} was imported, but disks could not be attached: ${missing.join(', ')}`
  addEvent(world, EVENT.importAttachDisksFailed, 'warning', message, { vm: { id: vm.id } })
}
