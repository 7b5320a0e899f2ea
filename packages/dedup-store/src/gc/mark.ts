/** Walks the maps of snapshots and calls for every place of every blob they refer to. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { hexOfId } from '../format/ids.ts'
import type { FoundBlob, RepositoryIndex } from '../index/repository-index.ts'
import { decodeLeaf, windowLength } from '../map/map-nodes.ts'
import { MapReader } from '../map/map-reader.ts'
import type { PackType } from '../packs/pack-format.ts'
import type { BlobReader } from '../reader/blob-reader.ts'
import { mapRootOf } from '../sessions/manifest.ts'
import type { SnapshotManifest } from '../sessions/manifest.ts'

/** Told all places of a blob, at least one. @returns false when it was told of this blob before: what it refers to is skipped */
export type MarkBlob = (places: readonly FoundBlob[], type: PackType) => boolean

/**
 * Marks all that a snapshot refers to.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when something of it is missing: what is live is not known then
 */
export const markSnapshot = async (
  { index, blobs }: { index: RepositoryIndex; blobs: BlobReader },
  sid: string,
  manifest: SnapshotManifest,
  mark: MarkBlob,
  options: AbortOptions = {},
): Promise<void> => {
  const places = async (id: Bytes, type: PackType): Promise<FoundBlob[]> => {
    const found: FoundBlob[] = []
    for await (const place of index.findAll(id, type, options)) found.push(place)
    if (found.length === 0) throw missing(sid, id, type)
    return found
  }
  for (const disk of manifest.disks) {
    const map = new MapReader(mapRootOf(disk), (id, abort) => blobs.read(id, 'mapPack', abort))
    const skip = async (id: Bytes): Promise<boolean> => !mark(await places(id, 'mapPack'), 'mapPack')
    for await (const { window, id } of map.leaves({ skip, signal: options.signal })) {
      const leaf = decodeLeaf(await blobs.read(id, 'mapPack', options), windowLength(disk.sizeBytes, window))
      for (const piece of leaf) if (piece.id !== undefined) mark(await places(piece.id, 'dataPack'), 'dataPack')
    }
  }
}

const missing = (sid: string, id: Bytes, type: PackType): GranaryError =>
  new GranaryError(
    'GRANARY_CORRUPT',
    `snapshot ${sid} refers to ${type === 'dataPack' ? 'chunk' : 'map node'} ${hexOfId(id)}, which is in no pack`,
    {
      detail: { snapshot: sid, id: hexOfId(id) },
      hint: '`granary check` shows the damage; once that snapshot is forgotten, collection goes on',
    },
  )
