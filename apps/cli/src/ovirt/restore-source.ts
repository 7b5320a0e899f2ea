/** The snapshot a restore reads from, with what a recovered machine wrote over it. @module */
import { join } from 'node:path'
import type { DiskReader } from '@granary/core'
import { resolveSnapshotId } from '@granary/dedup-store'
import type { Repository } from '@granary/dedup-store'
import type { ReadableSource } from '@granary/ovirt-adapter'
import { textOption } from '../command.ts'
import type { Invocation } from '../command.ts'
import { readSnapshotToUse } from '../doubtful-snapshot.ts'
import { openOverlayFile } from '../serving/overlay-file.ts'
import { loadAdapter } from './open-ovirt.ts'

/** Where `ovirt recover` keeps what is written to a disk. */
export const overlayPath = (folder: string, disk: string): string => join(folder, `${encodeURIComponent(disk)}.qcow2`)

/** @param id a snapshot, a unique beginning of its id, or `latest` */
export const openRestoreSource = async (
  invocation: Invocation,
  repository: Repository,
  id: string,
): Promise<ReadableSource> => {
  const { signal } = invocation
  const { storedSource } = await loadAdapter()
  const snapshotId = await resolveSnapshotId(repository.context, id, { signal })
  await readSnapshotToUse(repository, snapshotId, invocation)
  const folder = textOption(invocation, 'overlay')
  if (folder === undefined) return await storedSource(repository, snapshotId, { signal })
  const overlay = async (name: string, base: DiskReader): Promise<DiskReader> => {
    const source = `granary:${snapshotId}/${name}`
    const disk = await openOverlayFile(overlayPath(folder, name), { disk: base, name, source, files: [] })
    return {
      ...disk,
      async [Symbol.asyncDispose]() {
        await disk[Symbol.asyncDispose]()
        await base[Symbol.asyncDispose]()
      },
    }
  }
  return await storedSource(repository, snapshotId, { signal, overlay })
}
