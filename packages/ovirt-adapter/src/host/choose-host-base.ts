/** What a copy on the host is the later state of. It is read in full either way: the repository finds the difference. @module */
import type { BackupKind, Snapshot } from '@granary/dedup-store'
import { methodChanged } from '../backup/choose-base.ts'
import { isInconsistent } from '../backup/inconsistency.ts'
import { trackingOf } from '../backup/tracking.ts'

export interface HostBase {
  readonly kind: BackupKind
  readonly parent?: Snapshot
  readonly warnings: readonly string[]
}

/** @param snapshots all of the repository, oldest first */
export const chooseHostBase = (kind: BackupKind, vmId: string, snapshots: readonly Snapshot[]): HostBase => {
  const earlier = snapshots.filter(snapshot => trackingOf(snapshot, vmId) !== undefined && !isInconsistent(snapshot))
  const last = earlier.at(-1)
  if (kind === 'full' || last === undefined) return { kind: 'full', warnings: [] }
  if (trackingOf(last, vmId)?.method !== 'host') return { kind: 'full', warnings: [methodChanged('host')] }
  const parent = kind === 'differential' ? earlier.findLast(({ backupKind }) => backupKind === 'full') : last
  return parent === undefined ? { kind: 'full', warnings: [] } : { kind, parent, warnings: [] }
}
