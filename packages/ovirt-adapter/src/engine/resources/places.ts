/** Where machines and disks are: data centers, clusters, hosts, storage domains. @module */
import type { AbortOptions } from '@granary/core'
import type { CallOptions, Engine } from '../engine.ts'
import { booleanOf, integerOf, itemsOf, neededText, nestedItemsOf, objectOf, referenceOf, textOf } from '../json.ts'
import type { Json } from '../json.ts'
import { levelOf } from './vms.ts'
import type { Level } from './vms.ts'

export interface DataCenter {
  readonly id: string
  readonly name: string
  readonly status: string
  /** `disabled`, `audit`, `enabled`. */
  readonly quotaMode: string
}

export interface Cluster {
  readonly id: string
  readonly name: string
  readonly level: Level
  readonly dataCenterId: string | undefined
  readonly macPoolId: string | undefined
  readonly json: Json
}

export interface Host {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly status: string
  readonly clusterId: string | undefined
}

export interface StorageDomain {
  readonly id: string
  readonly name: string
  /** `data`, `iso`, `export`, ... */
  readonly type: string
  /** `nfs`, `iscsi`, `fcp`, ... */
  readonly storageType: string
  /** `active` and others, where it was read through its data center; else only `unattached` or undefined. */
  readonly status: string | undefined
  /** Undefined while the domain is not active. */
  readonly availableBytes: number | undefined
  readonly usedBytes: number | undefined
  /** Writes are refused when less than this is left. */
  readonly blockedBytes: number
  /** Machines can't start from it. */
  readonly isBackup: boolean
  readonly dataCenterIds: readonly string[]
}

const GIB = 1024 ** 3

const decodeDataCenter = (json: Json): DataCenter => ({
  id: neededText(json, 'id'),
  name: textOf(json, 'name') ?? neededText(json, 'id'),
  status: textOf(json, 'status') ?? 'unknown',
  quotaMode: textOf(json, 'quota_mode') ?? 'disabled',
})

const decodeCluster = (json: Json): Cluster => ({
  id: neededText(json, 'id'),
  name: textOf(json, 'name') ?? neededText(json, 'id'),
  level: levelOf(json, 'version') ?? { major: 0, minor: 0 },
  dataCenterId: referenceOf(json, 'data_center'),
  macPoolId: referenceOf(json, 'mac_pool'),
  json,
})

const decodeHost = (json: Json): Host => ({
  id: neededText(json, 'id'),
  name: textOf(json, 'name') ?? neededText(json, 'id'),
  address: textOf(json, 'address') ?? '',
  status: textOf(json, 'status') ?? 'unknown',
  clusterId: referenceOf(json, 'cluster'),
})

const decodeStorageDomain = (json: Json): StorageDomain => {
  const storage = objectOf(json, 'storage')
  const centers = nestedItemsOf(json, 'data_centers', 'data_center').map(center => neededText(center, 'id'))
  const center = referenceOf(json, 'data_center')
  return {
    id: neededText(json, 'id'),
    name: textOf(json, 'name') ?? neededText(json, 'id'),
    type: textOf(json, 'type') ?? 'data',
    storageType: (storage === undefined ? undefined : textOf(storage, 'type')) ?? 'unknown',
    status: textOf(json, 'status'),
    availableBytes: integerOf(json, 'available'),
    usedBytes: integerOf(json, 'used'),
    blockedBytes: (integerOf(json, 'critical_space_action_blocker') ?? 0) * GIB,
    isBackup: booleanOf(json, 'backup') ?? false,
    dataCenterIds: centers.length > 0 || center === undefined ? centers : [center],
  }
}

export const listDataCenters = async (engine: Engine, options: AbortOptions = {}): Promise<readonly DataCenter[]> =>
  itemsOf(await engine.get('/datacenters', options), 'data_center').map(decodeDataCenter)

export const listClusters = async (engine: Engine, options: AbortOptions = {}): Promise<readonly Cluster[]> =>
  itemsOf(await engine.get('/clusters', options), 'cluster').map(decodeCluster)

/** @throws GranaryError `GRANARY_NOT_FOUND` */
export const readCluster = async (engine: Engine, id: string, options: CallOptions = {}): Promise<Cluster> =>
  decodeCluster(await engine.get(`/clusters/${id}`, options))

export const listHosts = async (
  engine: Engine,
  { search, ...options }: AbortOptions & { readonly search?: string } = {},
): Promise<readonly Host[]> =>
  itemsOf(await engine.get('/hosts', { ...options, query: { search } }), 'host').map(decodeHost)

export const findHost = async (engine: Engine, id: string, options: CallOptions = {}): Promise<Host | undefined> => {
  const json = await engine.find(`/hosts/${id}`, options)
  return json === undefined ? undefined : decodeHost(json)
}

/** All domains, without their real status. */
export const listStorageDomains = async (
  engine: Engine,
  options: AbortOptions = {},
): Promise<readonly StorageDomain[]> =>
  itemsOf(await engine.get('/storagedomains', options), 'storage_domain').map(decodeStorageDomain)

/** The domains of a data center, with their status there. */
export const listAttachedDomains = async (
  engine: Engine,
  dataCenterId: string,
  options: AbortOptions = {},
): Promise<readonly StorageDomain[]> =>
  itemsOf(await engine.get(`/datacenters/${dataCenterId}/storagedomains`, options), 'storage_domain')
    .map(decodeStorageDomain)
    .map(domain => ({ ...domain, dataCenterIds: [dataCenterId] }))
