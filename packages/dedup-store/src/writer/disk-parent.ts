/** The disk a backup builds on, as its parent snapshot has it. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import { isDamage } from '../format/damage.ts'
import { MapReader } from '../map/map-reader.ts'
import type { LoadNode } from '../map/map-reader.ts'
import type { BlobReader } from '../reader/blob-reader.ts'
import { mapRootOf } from '../sessions/manifest.ts'
import type { DiskRecord } from '../sessions/manifest.ts'
import type { WriterSession } from '../sessions/writer-session.ts'

/** The disk as it was: what did not change since then is taken over from its map. */
export interface DiskParent {
  readonly record: DiskRecord
  readonly reader: MapReader
  /** False where something that a window refers to must be stored again: its map and chunks are not taken over then. */
  isWhole(window: number, options: AbortOptions): Promise<boolean>
  /** The bytes of a window's leaf, or what all of it is. */
  leaf(window: number, options: AbortOptions): Promise<Bytes | 'zero' | 'hole'>
}

export interface DiskParentPlace {
  readonly session: Pick<WriterSession, 'isStored'>
  readonly blobs: BlobReader
  /** False where every pack is sound as far as is known: windows are taken over without a look at what they refer to. */
  readonly hasDamage: boolean
}

export const openDiskParent = (record: DiskRecord, { session, blobs, hasDamage }: DiskParentPlace): DiskParent => {
  const load: LoadNode = async (id, options) => await blobs.read(id, 'mapPack', options)
  const reader = new MapReader(mapRootOf(record), load)
  const refersToStored = async (window: number, options: AbortOptions): Promise<boolean> => {
    const leaf = await reader.leafReference(window, options)
    if (leaf.kind !== 'node') return true
    if (!(await session.isStored(leaf.id, 'mapPack', options))) return false
    for (const { id } of await reader.pieces(window, options))
      if (id !== undefined && !(await session.isStored(id, 'dataPack', options))) return false
    return true
  }
  return {
    record,
    reader,
    async isWhole(window, options) {
      if (!hasDamage) return true
      return await refersToStored(window, options).catch((error: unknown) => {
        if (isDamage(error)) return false
        throw error
      })
    },
    async leaf(window, options) {
      const leaf = await reader.leafReference(window, options)
      return leaf.kind === 'node' ? await load(leaf.id, options) : leaf.kind
    },
  }
}
