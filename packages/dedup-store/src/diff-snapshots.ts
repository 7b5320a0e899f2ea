/** What changed from one snapshot to another, disk by disk. @module */
import type { AbortOptions } from '@granary/core'
import { openIndex } from './backup.ts'
import { diffMaps } from './map/diff.ts'
import type { ChangedRange } from './map/diff.ts'
import { MapReader } from './map/map-reader.ts'
import { createBlobReader } from './reader/blob-reader.ts'
import type { Repository } from './repository.ts'
import { mapRootOf } from './sessions/manifest.ts'
import { pinSnapshot } from './sessions/pins.ts'

/** One disk's changes. */
export interface DiskChanges {
  readonly disk: string
  /** Undefined where the disk is missing. */
  readonly beforeBytes: number | undefined
  readonly afterBytes: number | undefined
  /** Ascending; empty when the disk is in one of them only. */
  readonly ranges: AsyncIterable<ChangedRange>
}

/**
 * Compares two snapshots by their maps, reading no data. Disks are matched by name; both snapshots stay pinned meanwhile.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when a snapshot is missing
 */
export async function* diffSnapshots(
  repository: Repository,
  beforeId: string,
  afterId: string,
  options: AbortOptions = {},
): AsyncGenerator<DiskChanges, void, undefined> {
  const { context } = repository
  await using before = await pinSnapshot(context, beforeId, options)
  await using after = await pinSnapshot(context, afterId, options)
  const index = await openIndex(repository, options)
  const blobs = createBlobReader(context.backend, context.keys, index)
  const names = new Set([...before.snapshot.disks, ...after.snapshot.disks].map(disk => disk.name))
  for (const disk of names) {
    const a = before.snapshot.disks.find(record => record.name === disk)
    const b = after.snapshot.disks.find(record => record.name === disk)
    const mapOf = (record: NonNullable<typeof a>): MapReader =>
      new MapReader(mapRootOf(record), (id, abort) => blobs.read(id, 'mapPack', abort))
    const ranges = a === undefined || b === undefined ? none() : diffMaps(mapOf(a), mapOf(b), options)
    yield { disk, beforeBytes: a?.sizeBytes, afterBytes: b?.sizeBytes, ranges }
  }
}

async function* none(): AsyncGenerator<ChangedRange, void, undefined> {}
