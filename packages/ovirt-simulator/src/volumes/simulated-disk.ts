/** A disk of a simulated VM: layers on files, a guest that writes, freezes for backups, bitmaps, and an oracle. @module */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError, checkRange } from '@granary/core'
import type { Bytes, DiskReader, DiskWriter } from '@granary/core'
import { DirtyBitmaps } from './dirty-bitmaps.ts'
import { diskView } from './disk-view.ts'
import { frozenDisk } from './frozen-disk.ts'
import type { FrozenDisk } from './frozen-disk.ts'
import { CLUSTER_BYTES, clustersOf, wholeClustersOf } from './geometry.ts'
import type { Layer, LayerOptions } from './layer.ts'
import { layerExtents, readLayers } from './layer-chain.ts'
import { writeLayers, zeroLayers } from './layer-changes.ts'
import { LayerStack } from './layer-stack.ts'
import type { VolumeInfo } from './layer-stack.ts'
import { LiveFreeze } from './live-freeze.ts'
import { Oracle } from './oracle.ts'
import type { OracleRecord } from './oracle.ts'
import { ReadWriteLock } from './read-write-lock.ts'
import type { StorageSpace } from './storage-space.ts'

export interface SimulatedDiskOptions extends Omit<LayerOptions, 'folder'> {
  /** Made if it is not there; the disk's files go into it, and are removed with the disk. */
  readonly folder: string
}

export interface FreezeOptions {
  /**
   * `live`: the guest goes on, old content is kept in a scratch volume. `snapshot` (the engine's hybrid): the layer becomes
   * read-only under a new one. `cold`: nothing writes meanwhile. §4.3
   */
  readonly mode: 'live' | 'snapshot' | 'cold'
  /** Id of the scratch volume, or of the new layer. Needed but for `cold`. */
  readonly volumeId?: string
  /** Where the scratch volume takes its space. @default the domain of the disk */
  readonly scratchSpace?: StorageSpace
  /** Size of the scratch volume on block storage, bytes. */
  readonly scratchInitialBytes?: number
  /** Tell what has changed since this checkpoint. */
  readonly since?: string | undefined
  /** Begin a bitmap for this new checkpoint at the same instant. */
  readonly checkpointId?: string | undefined
}

export class SimulatedDisk {
  readonly bitmaps: DirtyBitmaps
  readonly #folder: string
  readonly #oracle: Oracle
  readonly #lock = new ReadWriteLock()
  readonly #freezes = new Set<LiveFreeze>()
  readonly #stack: LayerStack
  #sizeBytes: number

  private constructor(folder: string, stack: LayerStack, oracle: Oracle) {
    this.#folder = folder
    this.#stack = stack
    this.#oracle = oracle
    this.#sizeBytes = stack.top.sizeBytes
    this.bitmaps = new DirtyBitmaps(this.#sizeBytes)
  }

  /** A disk of zeros. @throws GranaryError `GRANARY_NO_SPACE` when its storage domain is too full */
  static async create(options: SimulatedDiskOptions): Promise<SimulatedDisk> {
    await mkdir(options.folder, { recursive: true })
    const stack = await LayerStack.create(options)
    const oracle = await Oracle.create(join(options.folder, 'oracle'), options.sizeBytes)
    return new SimulatedDisk(options.folder, stack, oracle)
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** The layers, the base first. */
  get volumes(): readonly VolumeInfo[] {
    return this.#stack.infos
  }

  /** What the disk takes of its storage domain, scratch volumes left out. */
  get allocatedBytes(): number {
    return this.#stack.layers.reduce((sum, layer) => sum + layer.allocatedBytes, 0)
  }

  /** @throws GranaryError `GRANARY_NO_SPACE` when the domain or a scratch volume is full; nothing is changed then */
  async guestWrite(offset: number, bytes: Bytes): Promise<void> {
    await this.#change(offset, bytes.length, async () => this.#write(offset, bytes, true))
  }

  /** @throws GranaryError `GRANARY_NO_SPACE` */
  async guestZero(offset: number, length: number): Promise<void> {
    await this.#change(offset, length, async () => this.#zero(offset, length, true))
  }

  /** As a guest's TRIM: whole clusters read as zeros afterwards and give their space back, the rest stays. */
  async guestDiscard(offset: number, length: number): Promise<void> {
    checkRange(offset, length, this.#sizeBytes)
    const { first, end } = wholeClustersOf(offset, length, this.#sizeBytes)
    const from = first * CLUSTER_BYTES
    const inner = Math.min(end * CLUSTER_BYTES, this.#sizeBytes) - from
    if (inner > 0) await this.guestZero(from, inner)
  }

  /**
   * The disk as it is now, for as long as what is given back is not disposed of. Disposing of a live freeze removes its
   * scratch volume; the layer of a `snapshot` stays until `merge`.
   *
   * @throws GranaryError as `DirtyBitmaps.since`; `GRANARY_NO_SPACE` when there is no room for the scratch volume
   */
  async freeze(options: FreezeOptions): Promise<FrozenDisk> {
    return await this.#lock.exclusive(() => this.#freeze(options))
  }

  /** Several disks of one VM at one instant: no guest write falls between them. Freezes nothing when one of them fails. */
  static async freezeTogether(
    disks: readonly { disk: SimulatedDisk; options: FreezeOptions }[],
  ): Promise<FrozenDisk[]> {
    const [first, ...rest] = disks
    if (first === undefined) return []
    return await first.disk.#lock.exclusive(async () => {
      const others = await SimulatedDisk.freezeTogether(rest)
      try {
        return [await first.disk.#freeze(first.options), ...others]
      } catch (error) {
        for (const other of others) await other[Symbol.asyncDispose]()
        throw error
      }
    })
  }

  /** Puts a new layer on top: from now on it takes the writes. @throws GranaryError `GRANARY_NO_SPACE` */
  async snapshot(volumeId: string): Promise<void> {
    await this.#lock.exclusive(() => this.#stack.add(volumeId, this.#sizeBytes))
  }

  /**
   * Merges the layer that lies on `volumeId` into it, and removes it: what deleting a snapshot does.
   *
   * @throws GranaryError `GRANARY_NOT_FOUND` for no such layer or none above it; `GRANARY_NO_SPACE` when it does not fit, both layers stay then
   */
  async merge(volumeId: string): Promise<void> {
    await this.#lock.exclusive(() => this.#stack.merge(volumeId))
  }

  /** Makes the disk larger; what it gains reads as zeros and counts as dirty. @throws GranaryError `GRANARY_INVALID_ARGUMENT` for a smaller size */
  async resize(sizeBytes: number): Promise<void> {
    if (sizeBytes < this.#sizeBytes)
      throw new GranaryError(
        'GRANARY_INVALID_ARGUMENT',
        `the disk has ${this.#sizeBytes} bytes, more than ${sizeBytes}`,
      )
    await this.#lock.exclusive(async () => {
      await this.#stack.top.resize(sizeBytes)
      this.#sizeBytes = sizeBytes
      this.bitmaps.resize(sizeBytes)
      await this.#oracle.resize(sizeBytes)
    })
  }

  /** What the disk holds now, by a witness of its own. */
  async record(): Promise<OracleRecord> {
    return await this.#lock.exclusive(() => this.#oracle.record())
  }

  /** The disk as it is at each call; writes come from an upload, for which nobody extends a logical volume. §3.3 */
  open(): DiskReader & DiskWriter {
    return this.#view(() => this.#stack.layers)
  }

  /** One layer alone: what it does not have are holes. @throws GranaryError `GRANARY_NOT_FOUND` */
  openVolume(volumeId: string): DiskReader {
    const layer = this.#stack.find(volumeId)
    return this.#view(() => [layer])
  }

  /** A layer and all below it: the disk at the time of a snapshot. @throws GranaryError `GRANARY_NOT_FOUND` */
  openSnapshot(volumeId: string): DiskReader {
    const layers = this.#stack.upTo(volumeId)
    return this.#view(() => layers)
  }

  /** Removes all files and gives the space back. */
  async remove(): Promise<void> {
    await this.#lock.exclusive(async () => {
      for (const { scratch } of this.#freezes) await scratch.remove()
      this.#freezes.clear()
      await this.#stack.remove()
      await this.#oracle.close()
      await rm(this.#folder, { recursive: true, force: true })
    })
  }

  /** Closes the files and leaves them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock.exclusive(async () => {
      for (const { scratch } of this.#freezes) await scratch.close()
      await this.#stack.close()
      await this.#oracle.close()
    })
  }

  async #freeze(options: FreezeOptions): Promise<FrozenDisk> {
    const sizeBytes = this.#sizeBytes
    const layers = [...this.#stack.layers]
    const dirty = options.since === undefined ? undefined : this.bitmaps.since(options.since)
    const record = await this.#oracle.record()
    const common = { sizeBytes, lock: this.#lock, record, dirty }
    if (options.mode === 'live') {
      const freeze = await this.#beginLive(layers, options)
      if (options.checkpointId !== undefined) this.bitmaps.start(options.checkpointId)
      return frozenDisk({
        ...common,
        scratchBytes: () => freeze.scratch.allocatedBytes,
        read: (offset, target) => freeze.read(offset, target),
        extents: (offset, length) => freeze.extents(offset, length),
        release: () => this.#endLive(freeze),
      })
    }
    if (options.mode === 'snapshot') await this.#stack.add(volumeIdOf(options), sizeBytes)
    if (options.checkpointId !== undefined) this.bitmaps.start(options.checkpointId)
    return frozenDisk({
      ...common,
      scratchBytes: () => 0,
      read: (offset, target) => readLayers(layers, offset, target),
      extents: (offset, length) => layerExtents(layers, offset, length),
      release: async () => undefined,
    })
  }

  async #beginLive(layers: readonly Layer[], options: FreezeOptions): Promise<LiveFreeze> {
    const scratch = await this.#stack.create({
      volumeId: volumeIdOf(options),
      sizeBytes: this.#sizeBytes,
      space: options.scratchSpace ?? this.#stack.top.space,
      initialBytes: options.scratchInitialBytes,
    })
    const freeze = new LiveFreeze(layers, scratch, this.#sizeBytes)
    this.#freezes.add(freeze)
    return freeze
  }

  async #endLive(freeze: LiveFreeze): Promise<void> {
    await this.#lock.exclusive(async () => {
      if (this.#freezes.delete(freeze)) await freeze.scratch.remove()
    })
  }

  /** All changes come through here: freezes keep the old content first, then bitmaps and oracle learn of it. */
  async #change(offset: number, length: number, work: () => Promise<void>): Promise<void> {
    checkRange(offset, length, this.#sizeBytes)
    if (length === 0) return
    await this.#lock.exclusive(async () => {
      for (const freeze of this.#freezes) await freeze.preserve(clustersOf(offset, length))
      await work()
      this.bitmaps.mark(offset, length)
    })
  }

  async #write(offset: number, bytes: Bytes, mayExtend: boolean): Promise<void> {
    await writeLayers({ layers: this.#stack.layers, sizeBytes: this.#sizeBytes, mayExtend }, offset, bytes)
    await this.#oracle.write(offset, bytes)
  }

  async #zero(offset: number, length: number, mayExtend: boolean): Promise<void> {
    await zeroLayers({ layers: this.#stack.layers, sizeBytes: this.#sizeBytes, mayExtend }, offset, length)
    await this.#oracle.zero(offset, length)
  }

  #view(layers: () => readonly Layer[]): DiskReader & DiskWriter {
    return diskView({
      sizeBytes: this.#sizeBytes,
      lock: this.#lock,
      layers,
      write: async (offset, bytes) =>
        await this.#change(offset, bytes.length, async () => this.#write(offset, bytes, false)),
      zero: async (offset, length) => await this.#change(offset, length, async () => this.#zero(offset, length, false)),
    })
  }
}

const volumeIdOf = ({ volumeId, mode }: FreezeOptions): string => {
  if (volumeId === undefined) throw new GranaryError('GRANARY_INVALID_ARGUMENT', `a ${mode} freeze needs a volume id`)
  return volumeId
}
