/** What became of the backup of one machine. @module */
import type { Snapshot } from '@granary/dedup-store'
import type { NotCopiedDisk } from '../machine/machine-record.ts'

export interface VmBackupReport {
  readonly vmId: string
  readonly vmName: string
  readonly snapshot: Snapshot
  /** How the engine let the disks be read; `host` when they were read past it; `none` for a machine without disks in a backup. */
  readonly method: 'live' | 'cold' | 'hybrid' | 'host' | 'none'
  readonly frozen: 'yes' | 'no' | 'unknown'
  readonly checkpointId: string | undefined
  readonly removedCheckpoints: readonly string[]
  readonly notCopied: readonly NotCopiedDisk[]
  /** Those in the manifest, and what happened after it was written. */
  readonly warnings: readonly string[]
}
