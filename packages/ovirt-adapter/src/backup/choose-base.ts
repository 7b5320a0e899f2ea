/**
 * What a backup starts from. Any checkpoint that the engine still has and calls valid will do; what makes a chain start anew
 * is said in a warning.
 *
 * @see docs/ovirt-adapter.md, "When a backup is a full one"
 * @module
 */
import type { BackupKind, Snapshot } from '@granary/dedup-store'
import type { Checkpoint } from '../engine/resources/checkpoints.ts'
import type { DiskAttachment } from '../engine/resources/disks.ts'
import { isInconsistent } from './inconsistency.ts'
import { trackingOf } from './tracking.ts'
import type { Tracking } from './tracking.ts'

export interface Base {
  readonly snapshot: Snapshot
  readonly tracking: Tracking
  readonly checkpointId: string
  /** Disks that a copy after this one lacks: detached for a while, or left out. */
  readonly wereAway: ReadonlySet<string>
}

export interface BaseChoice {
  readonly kind: BackupKind
  /** Undefined for a full one. */
  readonly base?: Base
  readonly warnings: readonly string[]
}

export interface BaseQuestion {
  readonly kind: BackupKind
  readonly vmId: string
  readonly method: Tracking['method']
  /** All of the repository, oldest first. */
  readonly snapshots: readonly Snapshot[]
  /** What the engine has of this machine. */
  readonly checkpoints: readonly Checkpoint[]
  /** Of these, those that do not know all that was written since. */
  readonly stale: ReadonlySet<string> | 'all'
  /** What goes into the engine's backup. */
  readonly disks: readonly DiskAttachment[]
  /** Whether the engine takes disks without a checkpoint into an incremental backup, as it does from level 4.5 on. */
  readonly canMix: boolean
}

export const chooseBase = (question: BaseQuestion): BaseChoice => {
  const { kind, vmId, snapshots, method } = question
  if (kind === 'full') return full()
  const earlier = snapshots.flatMap(snapshot => {
    const tracking = trackingOf(snapshot, vmId)
    const isUsable = tracking !== undefined && !isInconsistent(snapshot)
    return isUsable ? [{ snapshot, tracking }] : []
  })
  const last = earlier.at(-1)
  if (last === undefined) return full()
  if (last.tracking.method !== method) return full(methodChanged(method))
  const lost = lostConditions(last.tracking, question)
  if (lost !== undefined) return full(lost)
  const candidates =
    kind === 'differential' ? earlier.filter(({ snapshot }) => snapshot.backupKind === 'full').slice(-1) : earlier
  const found = candidates.toReversed().flatMap(candidate => withCheckpoint(candidate, question))[0]
  const base = found && { ...found, wereAway: disksAway(found, earlier) }
  if (base === undefined) return full(noCheckpoint(candidates.at(-1)?.tracking, question))
  const stranger = question.canMix ? undefined : firstStranger(base, question)
  if (stranger !== undefined) {
    return full(
      `disk ${stranger} is not in the checkpoint, and this cluster level takes all disks or none: a full backup`,
    )
  }
  return { kind, base, warnings: [] }
}

/** A chain does not go from one way of reading to the other. */
export const methodChanged = (method: Tracking['method']): string => {
  const [now, before] = method === 'api' ? ['the backup API', 'the host'] : ['the host', 'the backup API']
  return `disks are read through ${now}, the last backup read them through ${before}: the chain starts again`
}

const full = (warning?: string): BaseChoice => ({ kind: 'full', warnings: warning === undefined ? [] : [warning] })

/** A chain whose disks could be tracked, and can no longer be, starts again. */
const lostConditions = (last: Tracking, { disks }: BaseQuestion): string | undefined => {
  for (const { disk } of disks) {
    const before = last.disks.find(({ id }) => id === disk.id)
    if (before?.isTracked !== true || isTrackable(disk)) continue
    const what = disk.format === 'raw' ? 'has become raw' : 'no longer has incremental backup enabled'
    return `disk ${disk.alias} ${what}: the chain starts again with a full backup`
  }
  return undefined
}

/** The user's wish, and what the engine can: raw disks are never part of a checkpoint. */
export const isTrackable = ({ format, isIncremental }: DiskAttachment['disk']): boolean =>
  format === 'cow' && isIncremental

const withCheckpoint = (
  { snapshot, tracking }: { snapshot: Snapshot; tracking: Tracking },
  { checkpoints, stale }: BaseQuestion,
): Omit<Base, 'wereAway'>[] => {
  const { checkpointId } = tracking
  if (checkpointId === undefined || isStale(checkpointId, stale)) return []
  const isThere = checkpoints.some(({ id, isValid }) => id === checkpointId && isValid)
  return isThere ? [{ snapshot, tracking, checkpointId }] : []
}

const isStale = (id: string, stale: BaseQuestion['stale']): boolean => stale === 'all' || stale.has(id)

/** What another machine wrote to a disk meanwhile, no checkpoint of this one need know (CONTRACT §4.4). */
const disksAway = (
  base: { readonly snapshot: Snapshot; readonly tracking: Tracking },
  earlier: readonly { readonly snapshot: Snapshot; readonly tracking: Tracking }[],
): ReadonlySet<string> => {
  const later = earlier.slice(earlier.findIndex(({ snapshot }) => snapshot === base.snapshot) + 1)
  const ids = base.tracking.disks.map(({ id }) => id)
  return new Set(ids.filter(id => later.some(({ tracking }) => tracking.disks.every(disk => disk.id !== id))))
}

const noCheckpoint = (tracking: Tracking | undefined, { checkpoints, stale, kind }: BaseQuestion): string => {
  if (tracking === undefined) return `there is no full backup that a ${kind} one could start from: a full backup`
  const id = tracking.checkpointId
  if (id === undefined) return 'the engine made no checkpoint with the last backup: a full backup'
  if (isStale(id, stale)) return 'the machine was restored in place since its last backup: a full backup'
  const isInvalid = checkpoints.some(checkpoint => checkpoint.id === id)
  return `checkpoint ${id} ${isInvalid ? 'is no longer valid' : 'is no longer there'}: a full backup`
}

const firstStranger = ({ tracking }: Base, { disks }: BaseQuestion): string | undefined =>
  disks.find(({ disk }) => tracking.disks.every(({ id, isTracked }) => id !== disk.id || !isTracked))?.disk.alias

/** How one disk is read: what changed since the base, or all of it. */
export interface DiskBase {
  /** Its name in the base's snapshot. */
  readonly name: string
}

/**
 * The base of one disk, or why it has none although the machine's backup has one.
 *
 * @param mode what the engine says of it, where it does
 */
export const baseOfDisk = (
  base: Base,
  { disk }: DiskAttachment,
  mode: 'full' | 'incremental' | undefined,
): DiskBase | { readonly warning: string } => {
  const because = (reason: string): { warning: string } => ({
    warning: `disk ${disk.alias} is read in full: ${reason}`,
  })
  const before = base.tracking.disks.find(({ id }) => id === disk.id)
  if (disk.format === 'raw') return because('its format is raw, which the engine does not track')
  if (!disk.isIncremental) return because('incremental backup is not enabled for it')
  if (before === undefined) return because('it is new')
  if (base.wereAway.has(disk.id))
    return because('a copy since the last full one lacks it: it was detached, or left out')
  if (!before.isTracked) return because('the last checkpoint does not cover it')
  if (before.sizeBytes !== disk.sizeBytes) return because('its size has changed')
  return mode === 'full' ? because('the engine says so') : { name: before.name }
}
