/**
 * The platforms and versions that can be simulated, and what differs between them. Names and numbers of the forks are
 * what their branding packages would say; nothing may depend on them (CONTRACT §1.4).
 *
 * @module
 */
import { GranaryError } from '@granary/core'

export interface Profile {
  readonly name: string
  readonly product: string
  readonly vendor: string
  /** Major, minor, build, revision of the engine inside. */
  readonly engine: readonly [number, number, number, number]
  readonly fullVersion: string
  /** Levels that clusters may have, lowest first. */
  readonly clusterLevels: readonly string[]
  /** Storage that the module of the reference product names for the platform. */
  readonly storage: readonly StorageKind[]
}

export type StorageKind = 'nfs' | 'iscsi' | 'fcp'

const LEVELS_4_4 = ['4.2', '4.3', '4.4', '4.5', '4.6']
const LEVELS_4_5 = [...LEVELS_4_4, '4.7']
const FILE_AND_ISCSI = ['nfs', 'iscsi'] as const
const ALL_STORAGE = ['nfs', 'iscsi', 'fcp'] as const

type Row = readonly [
  name: string,
  product: string,
  vendor: string,
  engine: Profile['engine'],
  fullVersion: string,
  storage: readonly StorageKind[],
]

const ROWS: readonly Row[] = [
  ['ovirt-4.4.6', 'oVirt Engine', 'ovirt.org', [4, 4, 6, 0], '4.4.6.7-1.el8', FILE_AND_ISCSI],
  ['ovirt-4.4', 'oVirt Engine', 'ovirt.org', [4, 4, 10, 0], '4.4.10.7-1.el8', FILE_AND_ISCSI],
  ['ovirt-4.5', 'oVirt Engine', 'ovirt.org', [4, 5, 5, 0], '4.5.5-1.el8', FILE_AND_ISCSI],
  ['olvm-4.4', 'Oracle Linux Virtualization Manager', 'Oracle', [4, 4, 10, 0], '4.4.10.7-1.0.15.el8', ALL_STORAGE],
  ['olvm-4.5', 'Oracle Linux Virtualization Manager', 'Oracle', [4, 5, 4, 0], '4.5.4-1.0.31.el8', ALL_STORAGE],
  ['zvirt-4.0', 'zVirt', 'Orion soft', [4, 4, 9, 0], '4.4.9.5-1.el8', FILE_AND_ISCSI],
  ['zvirt-4.1', 'zVirt', 'Orion soft', [4, 5, 2, 0], '4.5.2.5-1.el8', FILE_AND_ISCSI],
  ['zvirt-4.2', 'zVirt', 'Orion soft', [4, 5, 4, 0], '4.5.4-1.el8', FILE_AND_ISCSI],
  ['zvirt-4.3', 'zVirt', 'Orion soft', [4, 5, 5, 0], '4.5.5-1.el8', FILE_AND_ISCSI],
  ['rosa-3.0', 'ROSA Virtualization', 'NTC IT ROSA', [4, 4, 10, 0], '4.4.10.7-1.res8', ALL_STORAGE],
  ['rosa-3.1', 'ROSA Virtualization', 'NTC IT ROSA', [4, 5, 4, 0], '4.5.4-1.res8', ALL_STORAGE],
  ['redvirt-7.3', 'RED Virtualization', 'RED SOFT', [4, 4, 10, 0], '4.4.10.7-1.el7', FILE_AND_ISCSI],
  ['hostvm-4.5', 'HOSTVM', 'HOSTVM', [4, 5, 5, 0], '4.5.5-1.el8', ['nfs']],
]

/** All profiles, by name. */
export const PROFILES: ReadonlyMap<string, Profile> = new Map(
  ROWS.map(([name, product, vendor, engine, fullVersion, storage]) => [
    name,
    { name, product, vendor, engine, fullVersion, storage, clusterLevels: engine[1] === 4 ? LEVELS_4_4 : LEVELS_4_5 },
  ]),
)

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when there is no such profile; the message lists them */
export const profileOf = (name: string): Profile => {
  const profile = PROFILES.get(name)
  if (profile !== undefined) return profile
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `no profile ${name}: expected ${[...PROFILES.keys()].join(', ')}`,
    {
      detail: { profile: name },
    },
  )
}

/** True when the engine inside is of that version or later. */
export const isAtLeast = ({ engine }: Profile, ...version: readonly number[]): boolean =>
  isVersionAtLeast(engine, version)

/** True when a version is `wanted` or later. */
export const isVersionAtLeast = (version: readonly number[], wanted: readonly number[]): boolean => {
  for (const [n, part] of wanted.entries()) if (version[n] !== part) return (version[n] ?? 0) > part
  return true
}

/** A cluster level as a number that compares: `4.10` is above `4.7`. */
export const levelNumber = (level: string): number => {
  const [major = '0', minor = '0'] = level.split('.')
  return Number(major) * 100 + Number(minor)
}
