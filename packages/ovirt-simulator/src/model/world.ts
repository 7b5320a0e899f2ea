/** The one place where everything of a simulated installation is kept. @module */
import { randomUUID } from 'node:crypto'
import type { SimulatorClock } from '../clock/clock.ts'
import { notFound } from '../http/api-error.ts'
import type { Profile } from '../profiles.ts'
import { Moments } from './moments.ts'
import type { Attributes } from './schema.ts'
import type { Disk, StorageDomain, Transfer, Vm } from './state.ts'

/** Collections without behaviour of their own, kept as they are shown. */
export const PLAIN_TABLES = [
  'affinitylabels',
  'clusters',
  'cpuprofiles',
  'datacenters',
  'diskprofiles',
  'hosts',
  'jobs',
  'macpools',
  'networks',
  'quotas',
  'roles',
  'tags',
  'templates',
  'users',
  'vnicprofiles',
] as const
export type PlainTable = (typeof PLAIN_TABLES)[number]

/** An account, and what it may do. */
export interface Account {
  readonly id: string
  readonly name: string
  password: string
  /** What a client sends after `Negotiate` to be known as this account; there is no realm behind it. */
  readonly kerberosTicket: string
  isSuperUser: boolean
  /** `PERMIT` everywhere, or `PERMIT@id` on one object and what is inside it. */
  readonly permits: Set<string>
}

export interface World {
  readonly clock: SimulatorClock
  readonly profile: Profile
  /** Volumes of the disks, a folder each. */
  readonly folder: string
  readonly instanceId: string
  readonly plain: Readonly<Record<PlainTable, Map<string, Attributes>>>
  readonly storageDomains: Map<string, StorageDomain>
  readonly vms: Map<string, Vm>
  readonly disks: Map<string, Disk>
  readonly transfers: Map<string, Transfer>
  /** Newest last; ids are ascending numbers. */
  readonly events: Attributes[]
  readonly accounts: Map<string, Account>
  readonly moments: Moments
  /** Disks whose next backup is in full, whatever was asked for. */
  readonly fullNext: Set<string>
}

export interface WorldOptions {
  readonly clock: SimulatorClock
  readonly profile: Profile
  readonly folder: string
}

export const BLANK_ID = '00000000-0000-0000-0000-000000000000'

export const createWorld = ({ clock, profile, folder }: WorldOptions): World => ({
  clock,
  profile,
  folder,
  instanceId: randomUUID(),
  plain: Object.fromEntries(PLAIN_TABLES.map(name => [name, new Map<string, Attributes>()])) as World['plain'],
  storageDomains: new Map(),
  vms: new Map(),
  disks: new Map(),
  transfers: new Map(),
  events: [],
  accounts: new Map(),
  moments: new Moments(),
  fullNext: new Set(),
})

/** @throws ApiError 404 without a body */
export const found = <T>(table: ReadonlyMap<string, T>, id: string | undefined): T => {
  const entity = id === undefined ? undefined : table.get(id.toLowerCase())
  if (entity === undefined) throw notFound()
  return entity
}
