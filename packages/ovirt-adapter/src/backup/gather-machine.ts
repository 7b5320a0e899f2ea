/**
 * Reads all that is needed to make a machine again, before its backup starts: OVF, JSON, and the names behind ids. What an
 * engine doesn't have is left out; what it doesn't show us is said.
 *
 * @see docs/formats/ovirt-machine.md
 * @module
 */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine, Query } from '../engine/engine.ts'
import { booleanOf, itemsOf, nestedItemsOf, objectOf, referenceOf, textOf } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'
import { readApiRoot } from '../engine/resources/api-root.ts'
import type { DiskAttachment } from '../engine/resources/disks.ts'
import { listNetworks, listNics, listVnicProfiles } from '../engine/resources/networks.ts'
import { listDataCenters, listHosts, listStorageDomains, readCluster } from '../engine/resources/places.ts'
import type { Cluster, DataCenter } from '../engine/resources/places.ts'
import { listVmSnapshots } from '../engine/resources/snapshots.ts'
import type { Vm } from '../engine/resources/vms.ts'
import type { EngineRecord, MachineDisk, MachineNic, MachineRecord, Named } from '../machine/machine-record.ts'
import { splitMachineSecrets } from './machine-secrets.ts'
import { readPermissions } from './permissions.ts'

/** All but what is only known once the copy is made. */
export type GatheredMachine = Omit<MachineRecord, 'notCopied' | 'frozen' | 'tracking'>

export interface GatherOptions extends AbortOptions {
  readonly attachments: readonly DiskAttachment[]
  /** Disk id to its name in the snapshot. */
  readonly names: ReadonlyMap<string, string>
}

export interface Gathered {
  readonly machine: GatheredMachine
  readonly cluster: Cluster
  readonly warnings: readonly string[]
}

export const gatherMachine = async (engine: Engine, vm: Vm, options: GatherOptions): Promise<Gathered> => {
  const { attachments, names, signal } = options
  const reader = new OptionalReader(engine, signal)
  const cluster = await readCluster(engine, vm.clusterId ?? '', { signal })
  const centers = await listDataCenters(engine, { signal })
  const domains = await listStorageDomains(engine, { signal })
  const whole = await engine.get(`/vms/${vm.id}`, { signal, query: { all_content: true } })
  const { vm: json, ovf, secrets } = splitMachineSecrets(whole)
  const nameOf = (id: string | undefined): Named | undefined =>
    domains.find(domain => domain.id === id) && namedOf(domains, id)
  const path = `/vms/${vm.id}`
  const behind = {
    domain: nameOf,
    profile: nameIn(await reader.list('/diskprofiles', 'disk_profile')),
    quota: nameIn(await reader.list(`/datacenters/${cluster.dataCenterId}/quotas`, 'quota')),
  }
  const machine: GatheredMachine = {
    platform: 'ovirt',
    version: 1,
    engine: await engineRecord(engine, { signal }),
    dataCenter: namedOf(centers, cluster.dataCenterId) ?? { id: '', name: '' },
    cluster: { id: cluster.id, name: cluster.name, level: `${cluster.level.major}.${cluster.level.minor}` },
    vm: json,
    ...(ovf === undefined ? {} : { ovf }),
    ...(secrets === undefined ? {} : { secrets }),
    disks: attachments.map(attachment => diskRecord(attachment, names, behind)),
    nics: await nicRecords(engine, vm.id, centers, { signal }),
    watchdogs: await reader.list(`${path}/watchdogs`, 'watchdog'),
    cdroms: await reader.list(`${path}/cdroms`, 'cdrom'),
    hostDevices: await reader.list(`${path}/hostdevices`, 'host_device'),
    numaNodes: await reader.list(`${path}/numanodes`, 'vm_numa_node'),
    tags: namesIn(await reader.list(`${path}/tags`, 'tag')),
    affinityLabels: namesIn(await reader.list(`${path}/affinitylabels`, 'affinity_label')),
    affinityGroups: await affinityGroups(reader, cluster.id, vm.id),
    permissions: readPermissions(await reader.list(`${path}/permissions`, 'permission', { follow: 'role,user,group' })),
    ...optionalName('cpuProfile', await reader.named('/cpuprofiles', referenceOf(json, 'cpu_profile'))),
    ...optionalName('leaseDomain', nameOf(leaseDomainId(json))),
    pinnedHosts: await pinnedHosts(engine, json, { signal }),
    snapshotsNotKept: (await listVmSnapshots(engine, vm.id, { signal })).filter(({ type }) => type === 'regular')
      .length,
  }
  return { machine, cluster, warnings: reader.warnings }
}

const engineRecord = async (engine: Engine, options: AbortOptions): Promise<EngineRecord> => {
  const { name, vendor, version } = await readApiRoot(engine, options)
  return { url: engine.base, product: name, vendor, version: version.full }
}

/** Parts that are nice to have: an engine without them, or an account that may not see them, is no reason to fail. */
class OptionalReader {
  readonly warnings: string[] = []
  readonly #engine: Engine
  readonly #signal: AbortSignal | undefined

  constructor(engine: Engine, signal: AbortSignal | undefined) {
    this.#engine = engine
    this.#signal = signal
  }

  async find(path: string, query: Query = {}): Promise<Json | undefined> {
    try {
      return await this.#engine.find(path, { query, signal: this.#signal })
    } catch (error) {
      if (!isGranaryError(error) || error.retryable || !['GRANARY_PERMISSION', 'GRANARY_REMOTE'].includes(error.code))
        throw error
      this.warnings.push(`the configuration is not whole: ${error.message}`)
      return undefined
    }
  }

  async list(path: string, name: string, query?: Query): Promise<readonly Json[]> {
    return itemsOf(await this.find(path, query), name)
  }

  async named(collection: string, id: string | undefined): Promise<Named | undefined> {
    if (id === undefined) return undefined
    const json = await this.find(`${collection}/${id}`)
    return { id, name: (json === undefined ? undefined : textOf(json, 'name')) ?? '' }
  }
}

const namedOf = (all: readonly Named[], id: string | undefined): Named | undefined => {
  const found = all.find(one => one.id === id)
  return found === undefined ? undefined : { id: found.id, name: found.name }
}

const namesIn = (items: readonly Json[]): readonly string[] => items.flatMap(item => textOf(item, 'name') ?? [])

const optionalName = <Name extends string>(name: Name, value: Named | undefined): Partial<Record<Name, Named>> =>
  (value === undefined ? {} : { [name]: value }) as Partial<Record<Name, Named>>

const diskRecord = (
  { disk, json, ...attachment }: DiskAttachment,
  names: ReadonlyMap<string, string>,
  behind: Record<'domain' | 'profile' | 'quota', NameOf>,
): MachineDisk => ({
  name: names.get(disk.id) ?? disk.alias,
  id: disk.id,
  alias: disk.alias,
  ...(disk.description === '' ? {} : { description: disk.description }),
  sizeBytes: disk.sizeBytes,
  format: disk.format,
  isSparse: disk.isSparse,
  isIncremental: disk.isIncremental,
  wipesAfterDelete: booleanOf(disk.json, 'wipe_after_delete') ?? false,
  propagatesErrors: booleanOf(disk.json, 'propagate_errors') ?? false,
  storageDomain: behind.domain(disk.storageDomainId) ?? { id: disk.storageDomainId ?? '', name: '' },
  ...optionalName('diskProfile', behind.profile(referenceOf(disk.json, 'disk_profile'))),
  ...optionalName('quota', behind.quota(referenceOf(disk.json, 'quota'))),
  attachment: {
    interface: attachment.interface,
    isBootable: attachment.isBootable,
    isActive: attachment.isActive,
    isReadOnly: attachment.isReadOnly,
    passesDiscard: attachment.passesDiscard,
    usesScsiReservation: booleanOf(json, 'uses_scsi_reservation') ?? false,
  },
})

/** What an id stands for: another engine knows the name at most. */
type NameOf = (id: string | undefined) => Named | undefined

const nameIn = (items: readonly Json[]): NameOf => {
  const named = items.map(item => ({ id: textOf(item, 'id') ?? '', name: textOf(item, 'name') ?? '' }))
  return id => named.find(item => item.id === id && item.name !== '')
}

const nicRecords = async (
  engine: Engine,
  vmId: string,
  centers: readonly DataCenter[],
  options: AbortOptions,
): Promise<readonly MachineNic[]> => {
  const nics = await listNics(engine, vmId, options)
  if (nics.length === 0) return []
  const profiles = await listVnicProfiles(engine, options)
  const networks = await listNetworks(engine, options)
  return nics.map(({ id, name, mac, isLinked, isPlugged, vnicProfileId, ...nic }) => {
    const profile = profiles.find(one => one.id === vnicProfileId)
    const network = networks.find(one => one.id === profile?.networkId)
    const dataCenter = centers.find(one => one.id === network?.dataCenterId)?.name ?? ''
    return {
      id,
      name,
      interface: nic.interface,
      ...(mac === undefined ? {} : { mac }),
      isLinked,
      isPlugged,
      ...(profile === undefined ? {} : { profile: { name: profile.name, network: network?.name ?? '', dataCenter } }),
    }
  })
}

const affinityGroups = async (reader: OptionalReader, clusterId: string, vmId: string): Promise<readonly string[]> => {
  const groups = await reader.list(`/clusters/${clusterId}/affinitygroups`, 'affinity_group', { follow: 'vms' })
  return namesIn(groups.filter(group => nestedItemsOf(group, 'vms', 'vm').some(({ id }) => id === vmId)))
}

const leaseDomainId = (vm: Json): string | undefined => {
  const lease = objectOf(vm, 'lease')
  return lease === undefined ? undefined : referenceOf(lease, 'storage_domain')
}

const pinnedHosts = async (engine: Engine, vm: Json, options: AbortOptions): Promise<readonly string[]> => {
  const policy = objectOf(vm, 'placement_policy')
  const ids =
    policy === undefined ? [] : nestedItemsOf(policy, 'hosts', 'host').flatMap(host => textOf(host, 'id') ?? [])
  if (ids.length === 0) return []
  return (await listHosts(engine, options)).filter(({ id }) => ids.includes(id)).map(({ name }) => name)
}
