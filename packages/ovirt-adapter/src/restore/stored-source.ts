/** A snapshot of a repository as what a restore reads from. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import { openDisk, readSnapshot } from '@granary/dedup-store'
import type { Repository } from '@granary/dedup-store'
import { measureQcow2 } from '@granary/qcow2'
import { readMachineRecord } from '../machine/read-machine-record.ts'
import type { ReadableSource } from './context.ts'
import type { SourceDisk } from './plan.ts'

export interface StoredSourceOptions extends AbortOptions {
  /** Lays something over a disk: what a machine wrote while it ran from its backup. Closes the base with itself. */
  readonly overlay?: (name: string, base: DiskReader) => Promise<DiskReader>
}

/** Chunks are decoded on another thread, and what comes next is read ahead. */
const READ_TUNING = { threads: 1, readAheadBytes: 16 * 1024 ** 2 } as const

/**
 * Opens a snapshot to restore it.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such snapshot, or it is of no machine; as `readMachineRecord`
 */
export const storedSource = async (
  repository: Repository,
  snapshotId: string,
  { overlay, signal }: StoredSourceOptions = {},
): Promise<ReadableSource> => {
  const snapshot = await readSnapshot(repository.context, snapshotId, { signal })
  const record = readMachineRecord(snapshot.machine)
  const open = async (name: string, options: AbortOptions): Promise<DiskReader> => {
    const base = await openDisk(repository, snapshot.id, { disk: name, ...READ_TUNING, ...options })
    if (overlay === undefined) return base
    try {
      return await overlay(name, base)
    } catch (error) {
      await base[Symbol.asyncDispose]()
      throw error
    }
  }
  const disks: SourceDisk[] = []
  for (const { name, sizeBytes } of snapshot.disks) {
    await using disk = await open(name, { signal })
    const { requiredBytes } = await measureQcow2({ sizeBytes, extents: disk.extents({ signal }) })
    disks.push({ name, sizeBytes, requiredBytes })
  }
  return { snapshotId: snapshot.id, record, disks, openDisk: open }
}
