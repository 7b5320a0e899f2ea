/** A machine of two disks and two NICs, as a backup records it. */
import type { MachineDisk, MachineRecord } from '../../src/index.ts'
import { splitOvfSecrets } from '../../src/index.ts'
import { DISKS, sampleOvf } from '../ovf/sample-ovf.ts'

const GIB = 1024 ** 3

export const sampleDisk = (overrides: Partial<MachineDisk> = {}): MachineDisk => ({
  name: 'web_Disk1',
  id: DISKS[0]?.diskId ?? '',
  alias: 'web_Disk1',
  sizeBytes: 10 * GIB,
  format: 'cow',
  isSparse: true,
  isIncremental: true,
  wipesAfterDelete: false,
  propagatesErrors: false,
  storageDomain: { id: '5d000000-0000-0000-0000-000000000001', name: 'nfs1' },
  diskProfile: { id: '5e000000-0000-0000-0000-000000000001', name: 'nfs1' },
  attachment: {
    interface: 'virtio_scsi',
    isBootable: true,
    isActive: true,
    isReadOnly: false,
    passesDiscard: true,
    usesScsiReservation: false,
  },
  ...overrides,
})

export const sampleRecord = (overrides: Partial<MachineRecord> = {}): MachineRecord => {
  const { xml, secrets } = splitOvfSecrets(sampleOvf())
  return {
    platform: 'ovirt',
    version: 1,
    engine: {
      url: 'https://engine.example/ovirt-engine',
      product: 'oVirt Engine',
      vendor: 'ovirt.org',
      version: '4.5.7',
    },
    dataCenter: { id: 'dc000000-0000-0000-0000-000000000001', name: 'Default' },
    cluster: { id: 'c1000000-0000-0000-0000-000000000001', name: 'Default', level: '4.7' },
    vm: {
      id: 'a0000000-0000-0000-0000-000000000001',
      name: 'web',
      description: 'a & b',
      type: 'server',
      memory: '4294967296',
      memory_policy: { guaranteed: '2147483648', max: '8589934592', ballooning: 'true' },
      cpu: { topology: { sockets: '2', cores: '1', threads: '1' }, architecture: 'x86_64' },
      bios: { type: 'q35_sea_bios', boot_menu: { enabled: 'false' } },
      os: { type: 'rhel_9x64', boot: { devices: { device: ['hd'] } } },
      high_availability: { enabled: 'true', priority: '50' },
      delete_protected: 'true',
      stateless: 'false',
      status: 'up',
      creation_time: 1795370095330,
      origin: 'ovirt',
      time_zone: { name: 'Etc/GMT' },
      custom_properties: { custom_property: [{ name: 'sap_agent', value: 'true' }] },
      initialization: { host_name: 'web' },
    },
    ovf: xml,
    secrets: { ovf: secrets, initialization: { root_password: 'hunter2' } },
    disks: [
      sampleDisk(),
      sampleDisk({
        name: 'web & data',
        alias: 'web & data',
        id: DISKS[1]?.diskId ?? '',
        sizeBytes: 2 * GIB,
        attachment: { ...sampleDisk().attachment, isBootable: false },
      }),
    ],
    notCopied: [],
    nics: [
      {
        id: 'b0000000-0000-0000-0000-000000000001',
        name: 'nic1',
        interface: 'virtio',
        mac: '56:6f:00:00:00:01',
        isLinked: true,
        isPlugged: true,
        profile: { name: 'ovirtmgmt', network: 'ovirtmgmt', dataCenter: 'Default' },
      },
      {
        id: 'b0000000-0000-0000-0000-000000000002',
        name: 'nic2',
        interface: 'e1000',
        mac: '56:6f:00:00:00:02',
        isLinked: true,
        isPlugged: false,
      },
    ],
    watchdogs: [],
    cdroms: [],
    hostDevices: [],
    numaNodes: [],
    tags: ['prod'],
    affinityLabels: [],
    affinityGroups: [],
    permissions: [],
    pinnedHosts: [],
    snapshotsNotKept: 0,
    frozen: 'yes',
    ...overrides,
  }
}
