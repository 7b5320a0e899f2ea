/** What the journal knows of files that are put into a machine's CD drive. @module */
import { factOf } from '../journal/entry.ts'
import type { PendingEntry } from '../journal/entry.ts'
import type { JournalEntry } from '../journal/journal.ts'

/** Kind of its journal entries. */
export const FILES_KIND = 'files'

export interface AttachedFiles {
  /** What `eject` takes: 8 hexadecimal digits. */
  readonly id: string
  readonly vmId: string
  readonly vmName: string
  readonly storageDomain: string
  /** What the drive names: the disk's id, or the name of the file in an ISO domain. */
  readonly disc: string
  /** In the drive, and meant to stay until it is ejected. */
  readonly isAttached: boolean
  /** The running machine has it; else it has it from its next start on. */
  readonly isCurrent: boolean
  readonly attachedMs: number
  /** When it is to be ejected, milliseconds since 1970. */
  readonly ejectAtMs?: number
}

/** More of it, for whoever takes it back. */
export interface FilesState {
  readonly files: AttachedFiles
  /** Where the file is, in an ISO domain. */
  readonly path: string | undefined
  /** What was in the drive before; undefined: nothing. */
  readonly previousCurrent: string | undefined
  readonly previousStored: string | undefined
}

export const readFilesState = (pending: PendingEntry): FilesState => {
  const text = (name: string): string => factOf(pending, name) ?? ''
  const { ejectAtMs, attachedMs, attached, current } = pending.facts
  const files: AttachedFiles = {
    id: text('id'),
    vmId: text('vm'),
    vmName: text('vmName'),
    storageDomain: text('storageDomain'),
    disc: text('disc'),
    isAttached: attached === true,
    isCurrent: current === true,
    attachedMs: Number(attachedMs ?? pending.timeMs),
    ...(typeof ejectAtMs === 'number' ? { ejectAtMs } : {}),
  }
  return {
    files,
    path: text('path') || undefined,
    previousCurrent: text('previousCurrent') || undefined,
    previousStored: text('previousStored') || undefined,
  }
}

export const isFilesEntry = ({ pending }: JournalEntry): boolean => pending.kind === FILES_KIND
