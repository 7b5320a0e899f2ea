/** What the target engine has that a restore may use. @module */
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { itemsOf, neededText, referenceOf, textOf } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'
import { readApiRoot } from '../engine/resources/api-root.ts'
import { readGrants } from '../engine/resources/grants.ts'
import type { Grant } from '../engine/resources/grants.ts'
import { listNetworks, listVnicProfiles } from '../engine/resources/networks.ts'
import { listAttachedDomains, listClusters, listDataCenters } from '../engine/resources/places.ts'
import type { Cluster, DataCenter, StorageDomain } from '../engine/resources/places.ts'
import { listVms } from '../engine/resources/vms.ts'
import type { Named } from '../machine/machine-record.ts'

/** Something that belongs to a domain, a data center or a cluster. */
export interface Owned extends Named {
  readonly ownerId: string
}

export interface TargetProfile extends Named {
  readonly network: string
  readonly dataCenterId: string
}

export interface RestoreTarget {
  readonly engineVersion: { readonly major: number; readonly minor: number }
  readonly dataCenters: readonly DataCenter[]
  readonly clusters: readonly Cluster[]
  /** With their status in their data center. */
  readonly storageDomains: readonly StorageDomain[]
  readonly vnicProfiles: readonly TargetProfile[]
  /** Owned by storage domains. */
  readonly diskProfiles: readonly Owned[]
  /** Owned by data centers. */
  readonly quotas: readonly Owned[]
  /** Owned by clusters. */
  readonly cpuProfiles: readonly Owned[]
  /** Owned by clusters. */
  readonly hosts: readonly Owned[]
  /** Names that begin like the one wanted. */
  readonly vmNames: readonly string[]
  /** What the account may do; undefined when the engine does not tell. */
  readonly grants: readonly Grant[] | undefined
}

/** @param name of the machine that is to be made */
export const readRestoreTarget = async (
  engine: Engine,
  { name, signal }: AbortOptions & { readonly name: string },
): Promise<RestoreTarget> => {
  const options = { signal }
  const { version } = await readApiRoot(engine, options)
  const dataCenters = await listDataCenters(engine, options)
  const storageDomains: StorageDomain[] = []
  const quotas: Owned[] = []
  for (const { id, quotaMode } of dataCenters) {
    storageDomains.push(...(await listAttachedDomains(engine, id, options)))
    if (quotaMode === 'disabled') continue
    const list = await engine.find(`/datacenters/${id}/quotas`, options)
    quotas.push(...itemsOf(list, 'quota').map(quota => ({ ...namedOf(quota), ownerId: id })))
  }
  return {
    engineVersion: version,
    dataCenters,
    clusters: await listClusters(engine, options),
    storageDomains,
    vnicProfiles: await readProfiles(engine, options),
    diskProfiles: await listOwned(engine, '/diskprofiles', { item: 'disk_profile', owner: 'storage_domain' }, options),
    quotas,
    cpuProfiles: await listOwned(engine, '/cpuprofiles', { item: 'cpu_profile', owner: 'cluster' }, options),
    hosts: await listOwned(engine, '/hosts', { item: 'host', owner: 'cluster' }, options),
    vmNames: (await listVms(engine, { ...options, search: `name=${searchText(name)}` })).map(vm => vm.name),
    grants: await readGrants(engine, options),
  }
}

/** All names that begin like this one. */
const searchText = (name: string): string => (/^[\w.-]+$/.test(name) ? `${name}*` : `"${name.replaceAll('"', '')}*"`)

const namedOf = (json: Json): Named => ({ id: neededText(json, 'id'), name: textOf(json, 'name') ?? '' })

/** Where an engine or an account does not offer the list, it counts as empty: defaults are used, and that is told. */
const listOwned = async (
  engine: Engine,
  path: string,
  { item, owner }: { readonly item: string; readonly owner: string },
  options: AbortOptions,
): Promise<Owned[]> =>
  itemsOf(await engine.find(path, options), item).map(json => ({
    ...namedOf(json),
    ownerId: referenceOf(json, owner) ?? '',
  }))

const readProfiles = async (engine: Engine, options: AbortOptions): Promise<TargetProfile[]> => {
  const networks = new Map((await listNetworks(engine, options)).map(network => [network.id, network]))
  return (await listVnicProfiles(engine, options)).flatMap(({ id, name, networkId }) => {
    const network = networkId === undefined ? undefined : networks.get(networkId)
    if (network?.dataCenterId === undefined) return []
    return [{ id, name, network: network.name, dataCenterId: network.dataCenterId }]
  })
}
