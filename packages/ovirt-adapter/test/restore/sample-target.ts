/** An engine with two data centers, as a restore sees it. */
import type { Cluster, StorageDomain } from '../../src/engine/resources/places.ts'
import type { RestoreTarget } from '../../src/restore/target.ts'
import type { RestoreSource } from '../../src/restore/plan.ts'
import { sampleRecord } from './sample-record.ts'
import type { MachineRecord } from '../../src/index.ts'

const GIB = 1024 ** 3

export const cluster = (overrides: Partial<Cluster> = {}): Cluster => ({
  id: 'c1000000-0000-0000-0000-00000000000a',
  name: 'Default',
  level: { major: 4, minor: 7 },
  dataCenterId: 'dc-1',
  macPoolId: undefined,
  json: { cpu: { architecture: 'x86_64' } },
  ...overrides,
})

export const domain = (overrides: Partial<StorageDomain> = {}): StorageDomain => ({
  id: 'sd-nfs1',
  name: 'nfs1',
  type: 'data',
  storageType: 'nfs',
  status: 'active',
  availableBytes: 500 * GIB,
  usedBytes: GIB,
  blockedBytes: 5 * GIB,
  isBackup: false,
  dataCenterIds: ['dc-1'],
  ...overrides,
})

export const sampleTarget = (overrides: Partial<RestoreTarget> = {}): RestoreTarget => ({
  engineVersion: { major: 4, minor: 5 },
  dataCenters: [
    { id: 'dc-1', name: 'Default', status: 'up', quotaMode: 'disabled' },
    { id: 'dc-2', name: 'Second', status: 'up', quotaMode: 'enabled' },
  ],
  clusters: [cluster(), cluster({ id: 'c2', name: 'Other', dataCenterId: 'dc-2' })],
  storageDomains: [
    domain(),
    domain({ id: 'sd-iscsi', name: 'iscsi1', storageType: 'iscsi' }),
    domain({ id: 'sd-other', name: 'nfs-other', dataCenterIds: ['dc-2'] }),
    domain({ id: 'sd-backup', name: 'backup1', isBackup: true }),
    domain({ id: 'sd-down', name: 'down1', status: 'maintenance' }),
    domain({ id: 'sd-iso', name: 'iso1', type: 'iso' }),
  ],
  vnicProfiles: [
    { id: 'p1', name: 'ovirtmgmt', network: 'ovirtmgmt', dataCenterId: 'dc-1' },
    { id: 'p2', name: 'lan', network: 'lan', dataCenterId: 'dc-1' },
    { id: 'p3', name: 'slow', network: 'lan', dataCenterId: 'dc-1' },
    { id: 'p4', name: 'ovirtmgmt', network: 'ovirtmgmt', dataCenterId: 'dc-2' },
  ],
  diskProfiles: [
    { id: 'dp1', name: 'nfs1', ownerId: 'sd-nfs1' },
    { id: 'dp2', name: 'gold', ownerId: 'sd-iscsi' },
  ],
  quotas: [
    { id: 'q1', name: 'Default', ownerId: 'dc-2' },
    { id: 'q2', name: 'big', ownerId: 'dc-2' },
  ],
  cpuProfiles: [{ id: 'cp1', name: 'Default', ownerId: 'c1000000-0000-0000-0000-00000000000a' }],
  hosts: [{ id: 'h1', name: 'host1', ownerId: 'c1000000-0000-0000-0000-00000000000a' }],
  vmNames: [],
  grants: [{ permits: ['create_vm', 'create_disk'], objectId: undefined }],
  ...overrides,
})

export const sampleSource = (overrides: Partial<MachineRecord> = {}): RestoreSource => {
  const record = sampleRecord(overrides)
  return {
    snapshotId: 'snapshot-1',
    record,
    disks: record.disks.map(({ name, sizeBytes }) => ({ name, sizeBytes, requiredBytes: Math.ceil(sizeBytes / 10) })),
  }
}
