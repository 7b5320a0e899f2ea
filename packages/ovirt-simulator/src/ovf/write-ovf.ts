/**
 * The configuration of a VM as the engine writes it: OVF in its own dialect.
 *
 * @see CONTRACT §3.2
 * @module
 */
import { XMLBuilder } from 'fast-xml-parser'
import type { Attributes, Value } from '../model/schema.ts'
import type { Attachment, Disk, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { BLANK_ID } from '../model/world.ts'

type Node = Record<string, unknown>

const GIB = 1024 ** 3
const MIB = 1024 ** 2
const INTERFACES: Readonly<Record<string, string>> = {
  virtio: 'VirtIO',
  virtio_scsi: 'VirtIO_SCSI',
  ide: 'IDE',
  sata: 'SATA',
  spapr_vscsi: 'SPAPR_VSCSI',
}
const FORMAT_URL = 'http://www.gnome.org/~markmc/qcow-image-format.html'
/** The engine's numbers of BIOS types. */
const BIOS: Readonly<Record<string, number>> = { i440fx_sea_bios: 1, q35_sea_bios: 2, q35_ovmf: 3, q35_secure_boot: 4 }
const NIC_TYPES: Readonly<Record<string, number>> = {
  rtl8139_virtio: 0,
  rtl8139: 1,
  e1000: 2,
  virtio: 3,
  pci_passthrough: 5,
}

const builder = new XMLBuilder({
  attributeNamePrefix: '@',
  ignoreAttributes: false,
  suppressEmptyNode: true,
  suppressBooleanAttributes: false, // Else a "true" loses its value, which is no XML.
})

const sub = (entity: Attributes | undefined, ...path: readonly string[]): Value | undefined => {
  let value: Value | undefined = entity
  for (const name of path) value = (value as Attributes | undefined)?.[name]
  return value
}

const time = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replaceAll('-', '/').slice(0, 19)

export const writeOvf = (world: World, vm: Vm): string => {
  const disks = [...vm.attachments.values()].flatMap(attachment => {
    const disk = world.disks.get(attachment.diskId)
    return disk === undefined ? [] : [{ disk, attachment }]
  })
  const envelope = {
    '@xmlns:ovf': 'http://schemas.dmtf.org/ovf/envelope/1/',
    '@xmlns:rasd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData',
    '@xmlns:vssd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData',
    '@xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
    '@ovf:version': `${world.profile.engine.join('.')}`,
    References: { File: disks.map(({ disk }) => fileOf(disk)) },
    NetworkSection: {
      Info: 'List of networks',
      Network: [...new Set([...vm.nics.values()].map(nic => networkOf(world, nic).network))].map(name => ({
        '@ovf:name': name,
      })),
    },
    Section: {
      '@xsi:type': 'ovf:DiskSection_Type',
      Info: 'List of Virtual Disks',
      Disk: disks.map(one => diskOf(vm, one)),
    },
    Content: contentOf(world, vm, disks),
  }
  return `<?xml version="1.0" encoding="UTF-8"?>${builder.build({ 'ovf:Envelope': envelope })}`
}

interface AttachedDisk {
  readonly disk: Disk
  readonly attachment: Attachment
}

const storageTypeOf = (disk: Disk): string => String(disk.config['storage_type'] ?? 'image').toUpperCase()

const fileOf = (disk: Disk): Node => ({
  '@ovf:href': `${disk.id}/${disk.imageId}`,
  '@ovf:id': disk.imageId,
  '@ovf:size': String(disk.volume?.allocatedBytes ?? 0),
  '@ovf:description': disk.config['description'] ?? '',
  '@ovf:disk_storage_type': storageTypeOf(disk),
})

const diskOf = (vm: Vm, { disk, attachment }: AttachedDisk): Node => {
  const active = [...vm.snapshots.values()].find(({ type }) => type === 'active')
  const { config } = disk
  return {
    '@ovf:diskId': disk.imageId,
    '@ovf:size': String(Math.ceil((disk.volume?.sizeBytes ?? 0) / GIB)),
    '@ovf:actual_size': String(Math.ceil((disk.volume?.allocatedBytes ?? 0) / GIB)),
    '@ovf:vm_snapshot_id': active?.id ?? BLANK_ID,
    '@ovf:parentRef': '',
    '@ovf:fileRef': `${disk.id}/${disk.imageId}`,
    '@ovf:format': FORMAT_URL,
    '@ovf:volume-format': config['format'] === 'cow' ? 'COW' : 'RAW',
    '@ovf:volume-type': config['sparse'] === true ? 'Sparse' : 'Preallocated',
    '@ovf:disk-interface': INTERFACES[attachment.interface] ?? 'VirtIO',
    '@ovf:read-only': String(attachment.isReadOnly),
    '@ovf:shareable': String(config['shareable'] ?? false),
    '@ovf:boot': String(attachment.isBootable),
    '@ovf:pass-discard': String(attachment.passDiscard),
    '@ovf:incremental-backup': String(config['backup'] === 'incremental'),
    '@ovf:disk-alias': config['alias'] ?? '',
    '@ovf:disk-description': config['description'] ?? '',
    '@ovf:wipe-after-delete': String(config['wipe_after_delete'] ?? false),
  }
}

/** Attributes of cloud-init and sysprep that the engine writes in clear: secrets among them. */
const INITIALIZATION: readonly (readonly [attribute: string, ovf: string])[] = [
  ['host_name', '@ovf:hostname'],
  ['user_name', '@ovf:userName'],
  ['root_password', '@ovf:rootPassword'],
  ['authorized_ssh_keys', '@ovf:authorizedKeys'],
  ['custom_script', '@ovf:customScript'],
  ['windows_license_key', '@ovf:winKey'],
]

/** An attribute as text, or what stands for its absence. */
const textOf = (config: Attributes, path: string, fallback: string | number | boolean): string => {
  const value = sub(config, ...path.split('.')) ?? fallback
  return String(value as string)
}

const memoryMb = (config: Attributes, which: 'guaranteed' | 'max'): string =>
  String(Number(textOf(config, `memory_policy.${which}`, textOf(config, 'memory', 0))) / MIB)

const contentOf = (world: World, vm: Vm, disks: readonly AttachedDisk[]): Node => {
  const { config } = vm
  const cluster = world.plain.clusters.get(vm.clusterId)
  const properties = (config['custom_properties'] ?? []) as readonly Attributes[]
  const setup = config['initialization'] as Attributes | undefined
  const lease = sub(config, 'lease', 'storage_domain', 'id')
  return {
    '@ovf:id': 'out',
    '@xsi:type': 'ovf:VirtualSystem_Type',
    Name: config['name'],
    Description: textOf(config, 'description', ''),
    Comment: textOf(config, 'comment', ''),
    CreationDate: time(Number(textOf(config, 'creation_time', world.clock.now()))),
    ExportDate: time(world.clock.now()),
    DeleteProtected: textOf(config, 'delete_protected', false),
    IsStateless: textOf(config, 'stateless', false),
    TimeZone: textOf(config, 'time_zone.name', 'Etc/GMT'),
    DefaultBootSequence: '0',
    Generation: '1',
    ClusterCompatibilityVersion: versionText(cluster?.['version']),
    VmType: String({ desktop: 0, server: 1, high_performance: 2 }[String(config['type'])] ?? 1),
    MinAllocatedMem: memoryMb(config, 'guaranteed'),
    MaxMemorySizeMb: memoryMb(config, 'max'),
    AutoStartup: textOf(config, 'high_availability.enabled', false),
    Priority: textOf(config, 'high_availability.priority', 1),
    MigrationSupport: '0',
    SerialNumberPolicy: textOf(config, 'serial_number.policy', 'none'),
    BiosType: String(BIOS[String(sub(config, 'bios', 'type'))] ?? 2),
    CustomEmulatedMachine: textOf(config, 'custom_emulated_machine', ''),
    CustomCpuName: textOf(config, 'custom_cpu_model', ''),
    UseHostCpu: 'false',
    BalloonEnabled: textOf(config, 'memory_policy.ballooning', true),
    UserDefinedProperties: properties.map(one => `${String(one['name'])}=${String(one['value'])}`).join(';'),
    ...(lease !== undefined && { VmLeaseDomainId: lease }),
    TemplateId: BLANK_ID,
    TemplateName: 'Blank',
    ClusterName: cluster?.['name'],
    Origin: '3',
    ...(setup !== undefined && {
      VmInit: Object.fromEntries(
        INITIALIZATION.flatMap(([from, to]) => (setup[from] === undefined ? [] : [[to, setup[from]]])),
      ),
    }),
    Section: [
      {
        '@ovf:id': vm.id,
        '@ovf:required': 'false',
        '@xsi:type': 'ovf:OperatingSystemSection_Type',
        Info: 'Guest Operating System',
        Description: textOf(config, 'os.type', 'other'),
      },
      hardwareOf(world, vm, disks),
      snapshotsOf(vm),
    ],
  }
}

const versionText = (version: Value | undefined): string =>
  `${String((version as Attributes | undefined)?.['major'] ?? 4)}.${String((version as Attributes | undefined)?.['minor'] ?? 2)}`

const hardwareOf = (world: World, vm: Vm, disks: readonly AttachedDisk[]): Node => {
  const topology = (sub(vm.config, 'cpu', 'topology') ?? { sockets: 1, cores: 1, threads: 1 }) as Attributes
  const { sockets = 1, cores = 1, threads = 1 } = topology
  const memoryMb = Number(vm.config['memory'] ?? 0) / MIB
  return {
    '@xsi:type': 'ovf:VirtualHardwareSection_Type',
    Info: `${Number(sockets) * Number(cores)} CPU, ${memoryMb} Memory`,
    Item: [
      {
        'rasd:Caption': `${Number(sockets) * Number(cores) * Number(threads)} virtual cpu`,
        'rasd:Description': 'Number of virtual CPU',
        'rasd:InstanceId': '1',
        'rasd:ResourceType': '3',
        'rasd:num_of_sockets': String(sockets as number),
        'rasd:cpu_per_socket': String(cores as number),
        'rasd:threads_per_cpu': String(threads as number),
      },
      {
        'rasd:Caption': `${memoryMb} MB of memory`,
        'rasd:InstanceId': '2',
        'rasd:ResourceType': '4',
        'rasd:AllocationUnits': 'MegaBytes',
        'rasd:VirtualQuantity': String(memoryMb),
      },
      ...disks.map(({ disk, attachment }) => diskItem(disk, attachment)),
      ...[...vm.nics.values()].map(nic => nicItem(world, nic)),
      { ...deviceItem('USB Controller', '23', 'usb'), 'rasd:UsbPolicy': 'DISABLED' },
      deviceItem('CDROM', '15', 'cdrom'),
    ],
  }
}

/** A device without anything of its own. */
const deviceItem = (caption: string, resourceType: string, type: string): Node => ({
  'rasd:Caption': caption,
  'rasd:InstanceId': BLANK_ID,
  'rasd:ResourceType': resourceType,
  Type: type,
  Device: type,
  'rasd:Address': '',
  BootOrder: '0',
  IsPlugged: 'true',
  IsReadOnly: String(type === 'cdrom'),
  Alias: '',
})

const diskItem = (disk: Disk, attachment: Attachment): Node => ({
  'rasd:Caption': disk.config['alias'] ?? '',
  'rasd:InstanceId': disk.imageId,
  'rasd:ResourceType': '17',
  'rasd:HostResource': `${disk.id}/${disk.imageId}`,
  'rasd:Parent': BLANK_ID,
  'rasd:Template': BLANK_ID,
  'rasd:StorageId': disk.storageDomainId ?? BLANK_ID,
  'rasd:StoragePoolId': BLANK_ID,
  Type: 'disk',
  Device: storageTypeOf(disk) === 'LUN' ? 'lun' : 'disk',
  'rasd:Address': '',
  BootOrder: attachment.isBootable ? '1' : '0',
  IsPlugged: String(attachment.isActive),
  IsReadOnly: String(attachment.isReadOnly),
  Alias: `ua-${disk.id}`,
})

const networkOf = (world: World, nic: Attributes): { network: string; profile: string } => {
  const profile = world.plain.vnicprofiles.get(String(sub(nic, 'vnic_profile', 'id')))
  const network = world.plain.networks.get(String(sub(profile, 'network', 'id')))
  return { network: String(network?.['name'] ?? ''), profile: String(profile?.['name'] ?? '') }
}

const nicItem = (world: World, nic: Attributes): Node => {
  const { network, profile } = networkOf(world, nic)
  return {
    'rasd:Caption': `Ethernet adapter on ${network}`,
    'rasd:InstanceId': nic['id'],
    'rasd:ResourceType': '10',
    'rasd:OtherResourceType': profile,
    'rasd:ResourceSubType': String(NIC_TYPES[String(nic['interface'])] ?? 3),
    'rasd:Connection': network,
    'rasd:Linked': String(nic['linked'] ?? true),
    'rasd:Name': nic['name'],
    'rasd:ElementName': nic['name'],
    'rasd:MACAddress': sub(nic, 'mac', 'address'),
    'rasd:speed': '10000',
    Type: 'interface',
    Device: 'bridge',
    'rasd:Address': '',
    BootOrder: '0',
    IsPlugged: String(nic['plugged'] ?? true),
    IsReadOnly: 'false',
    Alias: `ua-${String(nic['id'])}`,
  }
}

const snapshotsOf = (vm: Vm): Node => ({
  '@xsi:type': 'ovf:SnapshotsSection_Type',
  Snapshot: [...vm.snapshots.values()].map(snapshot => ({
    '@ovf:id': snapshot.id,
    Type: snapshot.type.toUpperCase(),
    Description: snapshot.description,
    CreationDate: time(snapshot.createdMs),
  })),
})
