/** What the engine knows: plain records; services change them, projections show them. @module */
import type { SimulatedDisk } from '../volumes/simulated-disk.ts'
import type { FrozenDisk } from '../volumes/frozen-disk.ts'
import type { StorageSpace } from '../volumes/storage-space.ts'
import type { Attributes } from './schema.ts'

export interface StorageDomain {
  readonly id: string
  name: string
  readonly kind: 'nfs' | 'iscsi' | 'fcp' | 'iso'
  readonly dataCenterId: string
  /** Status in its data center. */
  status: string
  readonly space: StorageSpace
  isBackup: boolean
  /** Writes are refused when less than that is available, GiB. */
  criticalGib: number
  /** Names of the files of an ISO domain. */
  readonly files: string[]
}

export interface Disk {
  readonly id: string
  /** Attributes that stay as they were given: alias, description, format, sparse, ... */
  config: Attributes
  storageDomainId: string | undefined
  isIllegal: boolean
  /** Who keeps it locked: `create`, `convert`, `backup ID`, `transfer ID`, `snapshot ID`. */
  readonly locks: Set<string>
  /** Volume of the active layer; changes with every snapshot. */
  imageId: string
  /** Undefined for what is no image: LUNs, managed block storage. */
  volume: SimulatedDisk | undefined
  readonly createdMs: number
  /** The job that made it, or makes it; none for what an inventory set up. */
  creationJobId?: string
}

export interface Attachment {
  readonly diskId: string
  isActive: boolean
  isBootable: boolean
  isReadOnly: boolean
  passDiscard: boolean
  interface: string
}

export interface Snapshot {
  readonly id: string
  description: string
  readonly type: 'regular' | 'active'
  status: 'ok' | 'locked' | 'in_preview'
  readonly createdMs: number
  readonly persistMemory: boolean
  /** Layer that holds each disk's content of that moment, by disk. */
  readonly volumes: Map<string, string>
  readonly config: Attributes
  /** Addresses that it keeps occupied. */
  readonly macs: readonly string[]
}

export interface Checkpoint {
  readonly id: string
  /** The backup that made it. */
  readonly backupId: string
  readonly parentId: string | undefined
  readonly createdMs: number
  state: 'created' | 'invalid'
  readonly description: string
  readonly diskIds: readonly string[]
}

export type BackupEngine = 'live' | 'cold' | 'hybrid'

export interface BackupDisk {
  readonly diskId: string
  readonly mode: 'full' | 'incremental'
  readonly scratchId: string | undefined
  frozen: FrozenDisk | undefined
}

export interface Backup {
  readonly id: string
  readonly engine: BackupEngine
  readonly description: string
  readonly fromCheckpointId: string | undefined
  /** Known when it is ready. */
  toCheckpointId: string | undefined
  phase: 'initializing' | 'starting' | 'ready' | 'finalizing' | 'succeeded' | 'failed'
  readonly createdMs: number
  modifiedMs: number
  hostId: string | undefined
  snapshotId: string | undefined
  readonly requireConsistency: boolean
  /** True when the guest's file systems were frozen at the moment. */
  isConsistent: boolean
  disks: BackupDisk[]
  readonly jobId: string
  /** Tags its events. */
  readonly correlationId: string
  /** Finalize was called. */
  isStopping: boolean
  /** The process that served its content is gone. */
  isBroken: boolean
}

export interface Vm {
  readonly id: string
  config: Attributes
  status: string
  clusterId: string
  hostId: string | undefined
  startedMs: number | undefined
  readonly nics: Map<string, Attributes>
  /** In the order in which they were attached. */
  readonly attachments: Map<string, Attachment>
  readonly snapshots: Map<string, Snapshot>
  checkpoints: Checkpoint[]
  readonly backups: Map<string, Backup>
  readonly cdrom: { current: string; stored: string }
  readonly tags: Set<string>
  /** Whether its guest agent answers: needed to freeze. */
  hasAgent: boolean
  isFrozen: boolean
  /** What locks the VM itself, besides backups: `snapshot ID`, `checkpoint ID`. */
  readonly locks: Set<string>
  /** Extra entities shown as they are: permissions, watchdogs, applications, ... by sub-collection. */
  readonly extras: Map<string, readonly Attributes[]>
}

export type TransferPhase =
  | 'initializing'
  | 'transferring'
  | 'resuming'
  | 'paused_system'
  | 'paused_user'
  | 'cancelled_system'
  | 'cancelled_user'
  | 'finalizing_success'
  | 'finalizing_failure'
  | 'finalizing_cleanup'
  | 'finished_success'
  | 'finished_failure'
  | 'finished_cleanup'

export interface Transfer {
  readonly id: string
  readonly diskId: string
  readonly snapshotVolumeId: string | undefined
  readonly backupId: string | undefined
  readonly vmId: string | undefined
  readonly direction: 'upload' | 'download'
  readonly format: 'raw' | 'cow'
  /** The bytes of the volume as it is stored: no `format: raw` was asked for. */
  readonly isFile: boolean
  readonly isShallow: boolean
  readonly inactivityTimeoutS: number
  readonly timeoutPolicy: 'legacy' | 'pause' | 'cancel'
  readonly hostId: string | undefined
  phase: TransferPhase
  readonly createdMs: number
  /** Whether the ticket was busy at the last tick, and what it had transferred. */
  isActive: boolean
  transferredBytes: number | undefined
  /** Ticks in a row that saw all bytes read and nobody reading: the second finalizes (CONTRACT §5.3). */
  idleTicks: number
}
