/**
 * Dirty bitmaps as libvirt keeps them for a domain's checkpoints: each records what was written from its checkpoint up to
 * the next one, so what has changed since a checkpoint is its own bitmap and all later ones together. §4.4
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Range } from '@granary/core'
import { CLUSTER_BYTES, clusterCount, clustersOf, resizedMap } from './geometry.ts'

interface Bitmap {
  readonly checkpointId: string
  /** One byte a cluster. */
  map: Uint8Array
  /** Left so by a crash: it missed writes, and nobody may trust it. */
  isInUse: boolean
}

export class DirtyBitmaps {
  #sizeBytes: number
  /** Oldest first; the last one records. */
  #bitmaps: Bitmap[] = []

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
  }

  /** Checkpoints that have a bitmap here, oldest first. */
  get checkpointIds(): readonly string[] {
    return this.#bitmaps.map(bitmap => bitmap.checkpointId)
  }

  /** Whether a crash left one of them so that nobody may trust it. */
  get isInUse(): boolean {
    return this.#bitmaps.some(bitmap => bitmap.isInUse)
  }

  /** A new checkpoint: from now on its bitmap records. @throws GranaryError `GRANARY_EXISTS` */
  start(checkpointId: string): void {
    if (this.#find(checkpointId) !== undefined)
      throw new GranaryError('GRANARY_EXISTS', `bitmap ${checkpointId} exists`, { detail: { checkpointId } })
    this.#bitmaps.push({ checkpointId, map: new Uint8Array(clusterCount(this.#sizeBytes)), isInUse: false })
  }

  /** Records a change. */
  mark(offset: number, length: number): void {
    const { first, end } = clustersOf(offset, length)
    this.#bitmaps.at(-1)?.map.fill(1, first, end)
  }

  /**
   * What has changed since a checkpoint, as a map of its own: one byte a cluster.
   *
   * @throws GranaryError `GRANARY_NOT_FOUND` when a bitmap is not there, `GRANARY_CORRUPT` when one is in use after a crash
   */
  since(checkpointId: string): Uint8Array {
    const first = this.#bitmaps.findIndex(bitmap => bitmap.checkpointId === checkpointId)
    if (first < 0) throw notFound(checkpointId)
    const merged = new Uint8Array(clusterCount(this.#sizeBytes))
    for (const { map, isInUse, checkpointId: id } of this.#bitmaps.slice(first)) {
      if (isInUse)
        throw new GranaryError('GRANARY_CORRUPT', `bitmap ${id} was in use when its VM crashed`, {
          detail: { checkpointId: id },
        })
      for (let at = 0; at < map.length; at++) if (map[at] !== 0) merged[at] = 1
    }
    return merged
  }

  /** Removes a checkpoint's bitmap; what it recorded goes to the one before, if there is one. @throws GranaryError `GRANARY_NOT_FOUND` */
  remove(checkpointId: string): void {
    const at = this.#bitmaps.findIndex(bitmap => bitmap.checkpointId === checkpointId)
    const removed = this.#bitmaps[at]
    if (removed === undefined) throw notFound(checkpointId)
    const before = this.#bitmaps[at - 1]
    this.#bitmaps.splice(at, 1)
    if (before === undefined) return
    before.isInUse ||= removed.isInUse
    for (let i = 0; i < removed.map.length; i++) if (removed.map[i] !== 0) before.map[i] = 1
  }

  /** The VM or its host crashed: the bitmap that was recording stays marked "in use". */
  crash(): void {
    const recording = this.#bitmaps.at(-1)
    if (recording !== undefined) recording.isInUse = true
  }

  /** Bitmaps vanish, as when a disk is moved, cloned, or its checkpoints are wiped (event 10791). @param checkpointId one only */
  lose(checkpointId?: string): void {
    this.#bitmaps = checkpointId === undefined ? [] : this.#bitmaps.filter(one => one.checkpointId !== checkpointId)
  }

  /** Reports more than was written, as bitmaps may. */
  overReport(ranges: readonly Range[]): void {
    for (const { offset, length } of ranges) this.mark(offset, length)
  }

  /** What a disk gains counts as changed. */
  resize(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes
    for (const bitmap of this.#bitmaps) bitmap.map = resizedMap(bitmap.map, sizeBytes, 1)
  }

  #find(checkpointId: string): Bitmap | undefined {
    return this.#bitmaps.find(bitmap => bitmap.checkpointId === checkpointId)
  }
}

const notFound = (checkpointId: string): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', `no bitmap for checkpoint ${checkpointId}`, { detail: { checkpointId } })

/** The dirty parts of a map as ascending ranges of bytes. */
export function* dirtyRanges(map: Uint8Array, sizeBytes: number): Generator<Range> {
  for (let at = map.indexOf(1); at >= 0;) {
    const clean = map.indexOf(0, at)
    const end = clean < 0 ? map.length : clean
    yield { offset: at * CLUSTER_BYTES, length: Math.min(end * CLUSTER_BYTES, sizeBytes) - at * CLUSTER_BYTES }
    at = clean < 0 ? -1 : map.indexOf(1, end)
  }
}
