/**
 * What a snapshot keeps for the next backup of its machine: which checkpoint of the engine shows the moment it was made at,
 * and which disks that checkpoint covers.
 *
 * @see docs/formats/ovirt-machine.md, "Tracking"
 * @module
 */
import type { Snapshot } from '@granary/dedup-store'
import type { Json } from '../engine/json.ts'
import type { MachineRecord } from '../machine/machine-record.ts'

export interface TrackedDisk {
  readonly id: string
  /** Name of the disk in the snapshot. */
  readonly name: string
  readonly sizeBytes: number
  /** Whether the checkpoint covers it, and the next backup may go on from there. */
  readonly isTracked: boolean
}

export interface Tracking {
  /** `backup_using_ovirt_api`: a chain doesn't go from one to the other. */
  readonly method: 'api' | 'host'
  readonly installation: string
  readonly vmId: string
  /** The engine's backup; undefined when no disk was in one. */
  readonly backupId?: string
  /** Undefined: the next backup starts anew. */
  readonly checkpointId?: string
  readonly disks: readonly TrackedDisk[]
}

export const trackingJson = (tracking: Tracking): Json => ({ ...tracking })

/** The tracking of a snapshot of this machine; undefined for others, and for what doesn't look as it should. */
export const trackingOf = ({ machine }: Pick<Snapshot, 'machine'>, vmId: string): Tracking | undefined => {
  const record = machine as Partial<MachineRecord> | null | undefined
  if (typeof record !== 'object' || record?.platform !== 'ovirt') return undefined
  const tracking = record.tracking as Partial<Tracking> | undefined
  if (tracking === undefined || tracking.vmId !== vmId || !Array.isArray(tracking.disks)) return undefined
  return tracking as Tracking
}
