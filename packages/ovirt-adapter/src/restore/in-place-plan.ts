/**
 * The plan of a restore in place: which disks of an existing machine get the content of which stored ones. Refused wherever writing
 * would reach more than the disk itself.
 *
 * @module
 */
import { formatBytes } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { BLANK_ID } from '../engine/ids.ts'
import { itemsOf, textOf } from '../engine/json.ts'
import { listCheckpoints } from '../engine/resources/checkpoints.ts'
import type { Checkpoint } from '../engine/resources/checkpoints.ts'
import { listAttachments } from '../engine/resources/disks.ts'
import type { DiskAttachment } from '../engine/resources/disks.ts'
import { readGrants } from '../engine/resources/grants.ts'
import type { Grant } from '../engine/resources/grants.ts'
import { listVmSnapshots } from '../engine/resources/snapshots.ts'
import type { Vm } from '../engine/resources/vms.ts'
import type { MachineDisk } from '../machine/machine-record.ts'
import { chosenDisks } from './plan-disks.ts'
import { checkTransfers } from './plan-permissions.ts'
import type { Findings, RestoreSource } from './plan.ts'
import { mapped } from './restore-map.ts'
import type { NameMap } from './restore-map.ts'

export interface InPlaceDisk {
  /** In the snapshot. */
  readonly name: string
  /** Of the machine's disk. */
  readonly alias: string
  readonly diskId: string
  readonly sizeBytes: number
  readonly storedBytes: number
}

export interface InPlacePlan {
  readonly snapshotId: string
  readonly vmId: string
  readonly vmName: string
  readonly disks: readonly InPlaceDisk[]
  readonly warnings: readonly string[]
}

export interface InPlaceTarget {
  readonly vm: Vm
  readonly attachments: readonly DiskAttachment[]
  /** Ids of disks that snapshots of the engine have layers of, with the snapshots' descriptions. */
  readonly snapshotsOf: ReadonlyMap<string, readonly string[]>
  readonly checkpoints: readonly Checkpoint[]
  /** What the account may do; undefined when the engine does not tell. */
  readonly grants: readonly Grant[] | undefined
}

export interface InPlaceChoices {
  readonly disks?: readonly string[]
  readonly excludedDisks?: readonly string[]
  /** A stored disk's name, alias or id to the alias or id of the machine's. */
  readonly diskMap?: NameMap
}

export type InPlaceResult =
  | { readonly kind: 'plan'; readonly plan: InPlacePlan }
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

export const readInPlaceTarget = async (engine: Engine, vm: Vm, { signal }: AbortOptions): Promise<InPlaceTarget> => {
  const snapshotsOf = new Map<string, string[]>()
  for (const { id, type, description } of await listVmSnapshots(engine, vm.id, { signal })) {
    if (type === 'active') continue
    for (const disk of itemsOf(await engine.find(`/vms/${vm.id}/snapshots/${id}/disks`, { signal }), 'disk')) {
      const diskId = textOf(disk, 'id') ?? ''
      snapshotsOf.set(diskId, [...(snapshotsOf.get(diskId) ?? []), description])
    }
  }
  const attachments = await listAttachments(engine, vm.id, { signal })
  const checkpoints = await listCheckpoints(engine, vm.id, { signal })
  return { vm, attachments, snapshotsOf, checkpoints, grants: await readGrants(engine, { signal }) }
}

export const planInPlace = (
  source: RestoreSource,
  target: InPlaceTarget,
  choices: InPlaceChoices = {},
): InPlaceResult => {
  const findings: Findings = { problems: [], warnings: [], notRestored: [] }
  const { vm } = target
  if (vm.status !== 'down') findings.problems.push(`machine "${vm.name}" is ${vm.status}: shut it down first`)
  if (vm.templateId !== undefined && vm.templateId !== BLANK_ID)
    findings.problems.push(`machine "${vm.name}" is based on a template: restore to new disks`)
  if (target.checkpoints.some(({ hasState }) => !hasState))
    findings.problems.push(
      `machine "${vm.name}" has checkpoints, which need not know what would be written, and an engine before 4.4.7 removes none of a machine that is down: restore to new disks`,
    )
  const disks = chosenDisks(source.record.disks, choices, findings).flatMap(disk =>
    planDisk(disk, { source, target, choices }, findings),
  )
  const { problems, warnings } = findings
  checkTransfers(target.grants, disks, problems)
  if (disks.length === 0 && problems.length === 0) problems.push('there is no disk to restore')
  const ids = new Set(disks.map(({ diskId }) => diskId))
  if (ids.size !== disks.length) problems.push('two stored disks would be written to one disk')
  if (problems.length > 0) return { kind: 'problems', problems }
  return { kind: 'plan', plan: { snapshotId: source.snapshotId, vmId: vm.id, vmName: vm.name, disks, warnings } }
}

interface Planning {
  readonly source: RestoreSource
  readonly target: InPlaceTarget
  readonly choices: InPlaceChoices
}

const planDisk = (disk: MachineDisk, { source, target, choices }: Planning, findings: Findings): InPlaceDisk[] => {
  const { problems, warnings } = findings
  const stored = source.disks.find(({ name }) => name === disk.name)
  const asked = mapped(choices.diskMap, disk.name, disk.alias, disk.id)
  const found = findTarget(target.attachments, disk, asked)
  if (stored === undefined) problems.push(`disk "${disk.alias}" is not among the disks of the snapshot`)
  if (found === undefined) problems.push(`machine "${target.vm.name}" has no disk "${asked ?? disk.alias}"`)
  if (found === undefined || stored === undefined) return []
  const reason = whyNot(found, target)
  if (reason !== undefined) problems.push(`disk "${found.disk.alias}" ${reason}`)
  if (found.disk.sizeBytes < stored.sizeBytes)
    problems.push(
      `disk "${found.disk.alias}" has ${formatBytes(found.disk.sizeBytes)}, the stored one ${formatBytes(stored.sizeBytes)}: make it larger, or restore to a new disk`,
    )
  if (found.disk.sizeBytes > Math.ceil(stored.sizeBytes / 4096) * 4096)
    warnings.push(`disk "${found.disk.alias}" is larger than the stored one: what lies behind its end stays`)
  return [
    {
      name: disk.name,
      alias: found.disk.alias,
      diskId: found.disk.id,
      sizeBytes: found.disk.sizeBytes,
      storedBytes: stored.sizeBytes,
    },
  ]
}

/** By id; on a machine that was restored before, by an alias that only one disk has. */
const findTarget = (
  attachments: readonly DiskAttachment[],
  disk: MachineDisk,
  asked: string | undefined,
): DiskAttachment | undefined => {
  const byId = attachments.find(({ id }) => id === (asked ?? disk.id))
  if (byId !== undefined) return byId
  const byAlias = attachments.filter(attachment => attachment.disk.alias === (asked ?? disk.alias))
  return byAlias.length === 1 ? byAlias[0] : undefined
}

const whyNot = ({ disk }: DiskAttachment, { snapshotsOf }: InPlaceTarget): string | undefined => {
  const snapshots = snapshotsOf.get(disk.id) ?? []
  if (snapshots.length > 0)
    return `has snapshots (${snapshots.map(text => `"${text}"`).join(', ')}): remove them, or restore to new disks`
  if (disk.storageType !== 'image') return `is of type ${disk.storageType}, which is not written to`
  if (disk.isShareable) return 'is shareable: another machine may use it'
  if (disk.contentType !== 'data') return `holds ${disk.contentType}, not data`
  return disk.status === 'ok' ? undefined : `is ${disk.status ?? 'in no known state'}`
}
