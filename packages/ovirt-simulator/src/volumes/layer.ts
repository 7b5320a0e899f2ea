/** One layer of a disk: a sparse file that says of each cluster whether it has data, has zeros, or shows what lies below. @module */
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createRawDisk } from '@granary/core'
import type { Bytes, RawFileWriter } from '@granary/core'
import { measureQcow2 } from '@granary/qcow2'
import { Allocation } from './allocation.ts'
import { CLUSTER_BYTES, clusterCount, resizedMap } from './geometry.ts'
import type { ClusterRange } from './geometry.ts'
import type { StorageSpace } from './storage-space.ts'

/** States of a cluster. */
export const STATE = { absent: 0, zero: 1, data: 2 } as const

export interface LayerOptions {
  /** Folder of the layer's file. */
  readonly folder: string
  /** Id of the volume, and name of its file. */
  readonly volumeId: string
  readonly sizeBytes: number
  readonly format: 'raw' | 'cow'
  /** Preallocated: takes its whole size at once. @default false */
  readonly isThick?: boolean | undefined
  /** Size of the logical volume of a thin volume on block storage. @default 1 GiB */
  readonly initialBytes?: number | undefined
  readonly space: StorageSpace
}

const DEFAULT_INITIAL_BYTES = 1024 ** 3

/** The layer itself checks no ranges and takes no locks: the disk above does. */
export class Layer {
  readonly volumeId: string
  readonly format: 'raw' | 'cow'
  readonly isThick: boolean
  readonly space: StorageSpace
  readonly #file: RawFileWriter
  readonly #allocation: Allocation
  #states: Uint8Array
  #dataClusters = 0
  /** Header and tables of a cow volume, bytes. */
  #overheadBytes: number

  private constructor(options: LayerOptions, file: RawFileWriter, allocation: Allocation, overheadBytes: number) {
    this.volumeId = options.volumeId
    this.format = options.format
    this.isThick = options.isThick ?? false
    this.space = options.space
    this.#file = file
    this.#allocation = allocation
    this.#overheadBytes = overheadBytes
    this.#states = new Uint8Array(clusterCount(options.sizeBytes))
  }

  /** @throws GranaryError `GRANARY_NO_SPACE` when the storage domain has no room for it */
  static async create(options: LayerOptions): Promise<Layer> {
    const { folder, volumeId, sizeBytes, format, isThick = false, initialBytes = DEFAULT_INITIAL_BYTES } = options
    const overheadBytes = format === 'cow' ? (await measureQcow2({ sizeBytes })).requiredBytes : 0
    const thickBytes = isThick ? sizeBytes + overheadBytes : undefined
    const allocation = new Allocation(options.space, { initialBytes, thickBytes })
    try {
      const file = await createRawDisk(join(folder, volumeId), sizeBytes)
      return new Layer(options, file, allocation, overheadBytes)
    } catch (error) {
      allocation.release()
      throw error
    }
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes
  }

  /** What the volume takes of its storage domain, bytes. */
  get allocatedBytes(): number {
    return this.#allocation.bytes
  }

  stateOf(cluster: number): number {
    return this.#states[cluster] ?? STATE.absent
  }

  /** Claims room for those of the clusters that have no data yet. @throws GranaryError `GRANARY_NO_SPACE`; nothing is changed then */
  claim({ first, end }: ClusterRange, mayExtend: boolean): void {
    let fresh = 0
    for (let cluster = first; cluster < end; cluster++) if (this.#states[cluster] !== STATE.data) fresh++
    if (fresh > 0) this.#allocation.claim(this.#usedBytes(fresh), mayExtend)
  }

  /** Claims room for so many more clusters of data. @throws GranaryError `GRANARY_NO_SPACE` */
  claimMore(clusters: number): void {
    this.#allocation.claim(this.#usedBytes(clusters), true)
  }

  /** Writes whole clusters or parts of such as have data; room was claimed before. */
  async write(offset: number, bytes: Bytes): Promise<void> {
    await this.#file.write(offset, bytes)
    this.#mark(Math.floor(offset / CLUSTER_BYTES), Math.ceil((offset + bytes.length) / CLUSTER_BYTES), STATE.data)
  }

  /** Makes whole clusters read as zeros, or show what lies below. */
  async clear({ first, end }: ClusterRange, state: typeof STATE.absent | typeof STATE.zero): Promise<void> {
    for (let at = first; at < end;) {
      const isData = this.#states[at] === STATE.data
      let stop = at + 1
      while (stop < end && (this.#states[stop] === STATE.data) === isData) stop++
      if (isData) {
        const offset = at * CLUSTER_BYTES
        const length = Math.min(stop * CLUSTER_BYTES, this.sizeBytes) - offset
        await this.#file.zero(offset, length, { punch: true })
      }
      at = stop
    }
    this.#mark(first, end, state)
    this.#allocation.shrink(this.#usedBytes(0))
  }

  async read(offset: number, target: Bytes): Promise<void> {
    await this.#file.read(offset, target)
  }

  /** @throws GranaryError `GRANARY_NO_SPACE` */
  async resize(sizeBytes: number): Promise<void> {
    const overheadBytes = this.format === 'cow' ? (await measureQcow2({ sizeBytes })).requiredBytes : 0
    if (this.isThick)
      this.#allocation.grow(Math.max(0, sizeBytes - this.sizeBytes + overheadBytes - this.#overheadBytes))
    this.#overheadBytes = overheadBytes
    await this.#file.resize(sizeBytes)
    this.#states = resizedMap(this.#states, sizeBytes)
  }

  /** Closes the file, removes it, and gives its space back. */
  async remove(): Promise<void> {
    await this.#file[Symbol.asyncDispose]()
    await unlink(this.#file.path)
    this.#allocation.release()
  }

  async close(): Promise<void> {
    await this.#file[Symbol.asyncDispose]()
  }

  #usedBytes(fresh: number): number {
    return this.#overheadBytes + (this.#dataClusters + fresh) * CLUSTER_BYTES
  }

  #mark(first: number, end: number, state: number): void {
    for (let cluster = first; cluster < end; cluster++) {
      if (this.#states[cluster] === STATE.data) this.#dataClusters--
      if (state === STATE.data) this.#dataClusters++
    }
    this.#states.fill(state, first, end)
  }
}
