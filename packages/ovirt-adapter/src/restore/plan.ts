/**
 * The plan of a restore: worked out before anything is made, from what the snapshot says, what the target has, and what was asked.
 * Pure, so that `--dry-run` shows what a restore would do. JSON-safe, and without secrets: it goes into the journal.
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Json } from '../engine/json.ts'
import type { MachineRecord, Named } from '../machine/machine-record.ts'
import { planDisks } from './plan-disks.ts'
import { planMachine } from './plan-machine.ts'
import { planNics } from './plan-nics.ts'
import { checkPermissions } from './plan-permissions.ts'
import { planPlace } from './plan-place.ts'
import type { RestoreMap } from './restore-map.ts'
import type { RestoreTarget } from './target.ts'

/** What is restored. */
export interface RestoreSource {
  readonly snapshotId: string
  readonly record: MachineRecord
  readonly disks: readonly SourceDisk[]
}

export interface SourceDisk {
  /** In the snapshot. */
  readonly name: string
  readonly sizeBytes: number
  /** As a qcow2 image with what it holds now, bytes. */
  readonly requiredBytes: number
}

export type MacConflict = 'skip' | 'new' | 'fail'

/** What was asked for. */
export interface RestoreChoices {
  /** @default the machine's own */
  readonly name?: string
  /** Name or id. @default the one of the same id or name */
  readonly cluster?: string
  /** For all disks. @default where each was */
  readonly storageDomain?: string
  /** `NETWORK/PROFILE` for all NICs; the empty text is none. @default what each had */
  readonly vnicProfile?: string
  /** @default false */
  readonly keepsMac?: boolean
  /** What becomes of a NIC whose kept MAC is taken. @default 'skip' */
  readonly macConflict?: MacConflict
  /** Thin raw disks become preallocated ones on block storage, not thin qcow2. @default false */
  readonly preallocates?: boolean
  /** Only these, by name, alias or id. @default all */
  readonly disks?: readonly string[]
  readonly excludedDisks?: readonly string[]
  /** @default false */
  readonly withInitialization?: boolean
  /** Only the disks, floating: no machine. @default false */
  readonly disksOnly?: boolean
  /** Make the machine from its records even where an OVF would bring more back. @default false */
  readonly withoutOvf?: boolean
  readonly map?: RestoreMap
  /** @default 'nbd' from engine 4.5 on, else 'file' */
  readonly uploadMechanism?: 'file' | 'nbd'
}

export interface PlannedDisk {
  readonly name: string
  readonly alias: string
  readonly description: string
  /** Of the new disk, bytes: the stored size, rounded up. */
  readonly sizeBytes: number
  readonly storedBytes: number
  readonly format: 'cow' | 'raw'
  readonly isSparse: boolean
  readonly isIncremental: boolean
  readonly wipesAfterDelete: boolean
  readonly propagatesErrors: boolean
  readonly storageDomain: Named
  /** Bytes to allocate at once; on block storage nobody extends a disk during an upload. */
  readonly initialBytes?: number
  readonly diskProfile?: Named
  readonly quota?: Named
  readonly attachment: {
    readonly interface: string
    readonly bootable: boolean
    readonly active: boolean
    readonly read_only: boolean
    readonly pass_discard: boolean
    readonly uses_scsi_reservation: boolean
  }
}

export interface PlannedNic {
  readonly name: string
  readonly interface: string
  readonly isLinked: boolean
  readonly isPlugged: boolean
  /** Only when it is to be kept. */
  readonly mac?: string
  readonly profile?: Named
}

export interface PlannedMachine {
  /** What it should be called, and is if nobody takes the name first. */
  readonly name: string
  /** Without the number that a taken name gets. */
  readonly wantedName: string
  readonly cluster: Named
  readonly dataCenter: Named
  /** `ovf`: only that brings back NVRAM and TPM. `none`: no machine is made, only disks. */
  readonly way: 'object' | 'ovf' | 'none'
  /** What the machine is made of, but for name, cluster and initialization. */
  readonly body: Json
  /** Set last, when all disks are there. */
  readonly finish: { readonly body: Json; readonly leaseDomain?: Named }
  readonly watchdogs: readonly Json[]
  readonly tags: readonly string[]
  readonly affinityLabels: readonly string[]
  readonly affinityGroups: readonly string[]
  readonly permissions: readonly { readonly role: string; readonly holder: string; readonly isGroup: boolean }[]
}

export interface RestorePlan {
  readonly snapshotId: string
  readonly machine: PlannedMachine
  readonly nics: readonly PlannedNic[]
  readonly macConflict: MacConflict
  /** In the order they are attached. */
  readonly disks: readonly PlannedDisk[]
  readonly uploadMechanism: 'file' | 'nbd'
  readonly withInitialization: boolean
  /** What was there and won't be, each by name. */
  readonly notRestored: readonly string[]
  readonly warnings: readonly string[]
}

/** Everything that is wrong, not only the first thing. */
export type PlanResult =
  | { readonly kind: 'plan'; readonly plan: RestorePlan }
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

/** What planning finds on its way. */
export interface Findings {
  readonly problems: string[]
  readonly warnings: string[]
  readonly notRestored: string[]
}

export const planRestore = (source: RestoreSource, target: RestoreTarget, choices: RestoreChoices): PlanResult => {
  const findings: Findings = { problems: [], warnings: [], notRestored: [] }
  const uploadMechanism = choices.uploadMechanism ?? mechanismOf(target)
  const place = planPlace(source.record, target, choices, findings)
  const disks = place && planDisks({ source, target, choices, place, uploadMechanism }, findings)
  const nics =
    place && (choices.disksOnly === true ? [] : planNics(source.record, target, choices, { place, findings }))
  const machine = place && planMachine(source.record, target, choices, { place, findings })
  if (place !== undefined && disks !== undefined)
    checkPermissions(target.grants, { place, disks, makesMachine: choices.disksOnly !== true }, findings)
  const { problems, warnings, notRestored } = findings
  if (disks === undefined || nics === undefined || machine === undefined || problems.length > 0)
    return { kind: 'problems', problems }
  const plan = {
    snapshotId: source.snapshotId,
    machine,
    nics,
    macConflict: choices.macConflict ?? 'skip',
    disks,
    uploadMechanism,
    withInitialization: choices.withInitialization ?? false,
    notRestored,
    warnings,
  }
  return { kind: 'plan', plan }
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` with every problem in its text */
export const requirePlan = <Plan>(
  result:
    | { readonly kind: 'plan'; readonly plan: Plan }
    | { readonly kind: 'problems'; readonly problems: readonly string[] },
): Plan => {
  if (result.kind === 'plan') return result.plan
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `it cannot be restored like that: ${result.problems.join('; ')}`, {
    detail: { problems: result.problems.length },
    hint: '`--dry-run` shows what would be done; `--map FILE` names other places',
  })
}

/** Before 4.5 uploads by NBD were new; what is written by `file` is the volume as it is stored. */
const mechanismOf = ({ engineVersion: { major, minor } }: RestoreTarget): 'file' | 'nbd' =>
  major > 4 || (major === 4 && minor >= 5) ? 'nbd' : 'file'
