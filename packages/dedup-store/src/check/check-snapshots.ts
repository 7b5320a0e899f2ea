/** Walks every snapshot's maps: each node opens, each chunk is in a pack that is whole. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import { GranaryError, isGranaryError } from '@granary/core'
import { hexOfId, idOfHex, keyOfId } from '../format/ids.ts'
import type { RepositoryIndex } from '../index/repository-index.ts'
import { windowLength, windowsOf } from '../map/map-nodes.ts'
import { MapReader, windowOffset } from '../map/map-reader.ts'
import type { PackType } from '../packs/pack-format.ts'
import { createBlobReader } from '../reader/blob-reader.ts'
import type { Repository } from '../repository.ts'
import { mapRootOf } from '../sessions/manifest.ts'
import type { DiskRecord } from '../sessions/manifest.ts'
import type { Snapshot } from '../sessions/snapshots.ts'
import type { DamageList, TouchedRange } from './check.ts'
import type { CheckedPacks } from './check-packs.ts'

const MAX_TOUCHED = 10_000

interface Place {
  readonly index: RepositoryIndex
  readonly snapshots: readonly Snapshot[]
  readonly packs: CheckedPacks
  readonly list: DamageList
}

/** @returns what of the snapshots can't be read */
export const checkSnapshots = async (
  repository: Repository,
  place: Place,
  options: AbortOptions,
): Promise<TouchedRange[]> => {
  const touched: TouchedRange[] = []
  /** Leaves found whole: snapshots share most of them. */
  const whole = new Set<string>()
  for (const snapshot of place.snapshots) {
    for (const disk of snapshot.disks) {
      for await (const range of checkDisk(repository, place, { disk, whole }, options)) {
        const last = touched.at(-1)
        const id = snapshot.catalogOf ?? snapshot.id
        const isNext = last?.snapshot === id && last.disk === disk.name && last.offset + last.length === range.offset
        if (isNext) touched[touched.length - 1] = { ...last, length: last.length + range.length }
        else if (touched.length < MAX_TOUCHED) touched.push({ snapshot: id, disk: disk.name, ...range })
      }
    }
  }
  return touched
}

async function* checkDisk(
  { context }: Repository,
  { index, packs, list }: Place,
  { disk, whole }: { readonly disk: DiskRecord; readonly whole: Set<string> },
  options: AbortOptions,
): AsyncGenerator<{ offset: number; length: number }, void, undefined> {
  const blobs = createBlobReader(context.backend, context.keys, index)
  const isThere = async (id: Bytes, type: PackType): Promise<boolean> => {
    let isSeen = false
    try {
      for await (const { pack } of index.findAll(id, type, options)) {
        if (!packs.isBad(pack.key, id)) return true
        isSeen = true
      }
    } catch (error) {
      if (!isGranaryError(error)) throw error
      isSeen = true
      list.add('packs/', error)
    }
    if (!isSeen) await blame(id, missing(id, type))
    return false
  }
  /** Names the packs that should have a blob, where the index knows. */
  const blame = async (id: Bytes, error: GranaryError): Promise<void> => {
    const keys = await index.packsNamedFor(id, options)
    for (const key of keys) list.add(key, gone(key))
    if (keys.length === 0) list.add('packs/', error)
  }
  const map = new MapReader(mapRootOf(disk), (id, abort) => blobs.read(id, 'mapPack', abort))
  for (let window = 0; window < windowsOf(disk.sizeBytes); window++) {
    options.signal?.throwIfAborted()
    const start = windowOffset(window)
    try {
      const leaf = await map.leafReference(window, options)
      if (leaf.kind !== 'node' || whole.has(keyOfId(leaf.id))) continue
      let at = start
      let isWhole = true
      for (const { id, length } of await map.pieces(window, options)) {
        if (id !== undefined && !(await isThere(id, 'dataPack'))) {
          isWhole = false
          yield { offset: at, length }
        }
        at += length
      }
      if (isWhole) whole.add(keyOfId(leaf.id))
    } catch (error) {
      if (!isGranaryError(error)) throw error
      const { id, object } = error.detail
      if (typeof id === 'string' && object === undefined) await blame(idOfHex(id), error)
      else list.add('packs/', error)
      yield { offset: start, length: windowLength(disk.sizeBytes, window) }
    }
  }
}

const gone = (key: string): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `${key} is missing`, { detail: { object: key } })

const missing = (id: Bytes, type: PackType): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `${type === 'dataPack' ? 'chunk' : 'map node'} ${hexOfId(id)} is in no pack`, {
    detail: { id: hexOfId(id) },
  })
