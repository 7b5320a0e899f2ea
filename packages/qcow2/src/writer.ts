/** An image as a disk that can be written at random, and read meanwhile. @module */
import { checkRange } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, DiskWriter, ZeroOptions } from '@granary/core'
import type { BitmapKeeper, NewBitmap } from './bitmap-keeper.ts'
import { BoundedCache } from './bounded-cache.ts'
import { ClusterMap } from './cluster-map.ts'
import { ClusterWriter } from './cluster-writer.ts'
import type { CompressClusters } from './cluster-writer.ts'
import type { Decompressor } from './decompress.ts'
import type { ImageEditor } from './image-editor.ts'
import { infoOf } from './info.ts'
import type { Qcow2Info } from './info.ts'
import { layerExtents } from './layer-extents.ts'
import { readLayer } from './layer.ts'
import type { Layer, ReadCompressed } from './layer.ts'
import { SharedRangeLock } from './shared-range-lock.ts'

/** A qcow2 image as a disk that can be written at random, and read meanwhile. Calls may come at once, in any order. */
export interface Qcow2Writer extends DiskWriter, DiskReader {
  info(): Qcow2Info
  /**
   * Adds a persistent dirty bitmap, or replaces the one of that name. It is written when the disk is closed.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` for a granularity that is no power of two from 512 to 2 GiB
   */
  addBitmap(bitmap: NewBitmap): Promise<void>
}

export interface WriterParts {
  readonly editor: ImageEditor
  readonly backing: DiskReader | undefined
  readonly decompress: Decompressor
  readonly pooled: ReadCompressed | undefined
  readonly compress: CompressClusters | undefined
  readonly cacheBytes: number
  readonly bitmaps: BitmapKeeper
  readonly close: () => Promise<void>
}

const ZEROS_BYTES = 65_536
const BLOCK_BYTES = 512

/** The engine of the writer: one change of tables at a time, data in parallel. */
export class ImageWriter {
  readonly editor: ImageEditor
  readonly layer: Layer
  readonly clusters: ClusterWriter
  readonly bitmaps: BitmapKeeper
  readonly #tableSpan: number
  readonly #inFlight = new Set<Promise<void>>()
  #turn: Promise<unknown> = Promise.resolve()

  /** @param sizeBytes larger than the image says while it is made larger */
  constructor(parts: WriterParts, sizeBytes = parts.editor.header.sizeBytes) {
    const { editor, backing, decompress, pooled, compress, cacheBytes } = parts
    const { clusterBytes, entryBytes } = editor.format
    this.bitmaps = parts.bitmaps
    this.editor = editor
    this.#tableSpan = (clusterBytes / entryBytes) * clusterBytes
    this.layer = {
      sizeBytes,
      clusterBytes,
      imageFile: editor.file,
      dataFile: editor.file,
      backing,
      decompress,
      pooled,
      isLenient: false,
      map: new ClusterMap(editor.format, editor.tables),
      clusters: new BoundedCache(cacheBytes, clusterBytes),
    }
    this.clusters = new ClusterWriter({
      editor,
      layer: this.layer,
      settle: () => this.#settle(),
      compress,
      forgetCluster: host => this.layer.clusters.forget(host),
    })
  }

  /** Runs `action` when all earlier ones are done. A failure leaves the image dirty and ends all writing. */
  async exclusive<Result>(action: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(async () => {
      try {
        return await action()
      } catch (error) {
        this.editor.fail(error)
        throw error
      }
    })
    this.#turn = turn.catch(() => undefined)
    return await turn
  }

  async #settle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight)
  }

  /** To be called before every change. */
  async begin(): Promise<void> {
    if (!this.editor.isChanged) await this.bitmaps.markInUse(this.editor.file)
    await this.editor.begin()
  }

  async #prepare(): Promise<void> {
    await this.begin()
    await this.makeRoom()
  }

  /** Makes room for one more table. */
  async makeRoom(): Promise<void> {
    if (this.editor.tables.makeRoom()) return
    await this.#settle()
    await this.editor.persist()
    this.editor.tables.makeRoom()
  }

  async write(offset: number, bytes: Bytes, { signal }: AbortOptions = {}): Promise<void> {
    this.bitmaps.mark(offset, bytes.length)
    const started: Promise<void>[] = []
    for (let at = offset; at < offset + bytes.length;) {
      signal?.throwIfAborted()
      const index = Math.floor(at / this.#tableSpan)
      const next = Math.min((index + 1) * this.#tableSpan, offset + bytes.length)
      const part = bytes.subarray(at - offset, next - offset)
      const from = at
      const ready = await this.clusters.compress(index * this.#tableSpan, from, part)
      await this.exclusive(async () => {
        await this.#prepare()
        const planned = await this.clusters.plan(index, index * this.#tableSpan, from, part, ready)
        for (const { host, bytes } of planned) started.push(this.#start(this.editor.file.write(host, bytes)))
      })
      at = next
    }
    await Promise.all(started)
  }

  #start(writing: Promise<void>): Promise<void> {
    const tracked = writing.catch((error: unknown) => {
      this.editor.fail(error)
      throw error
    })
    this.#inFlight.add(tracked)
    const forget = (): void => void this.#inFlight.delete(tracked)
    tracked.then(forget, forget)
    return tracked
  }

  async zero(offset: number, length: number, { punch = false, signal }: ZeroOptions = {}): Promise<void> {
    this.bitmaps.mark(offset, length)
    const { clusterBytes } = this.editor.format
    const end = offset + length
    const first = Math.ceil(offset / clusterBytes) * clusterBytes
    const isLast = end === this.layer.sizeBytes
    const last = isLast ? Math.ceil(end / clusterBytes) * clusterBytes : end - (end % clusterBytes)
    if (first >= last) return await this.#writeZeros(offset, end, signal)
    await this.#writeZeros(offset, first, signal)
    await this.#zeroClusters(first, last, punch, signal)
    await this.#writeZeros(Math.min(last, end), end, signal)
  }

  /** Parts of clusters: written as zeros, but where zeros are read already. */
  async #writeZeros(offset: number, end: number, signal: AbortSignal | undefined): Promise<void> {
    if (offset >= end) return
    const zeros = new Uint8Array(Math.min(ZEROS_BYTES, end - offset))
    for await (const extent of layerExtents(this.layer, offset, end - offset, signal)) {
      if (extent.kind !== 'data') continue
      const extentEnd = extent.offset + extent.length
      for (let at = extent.offset; at < extentEnd; at += zeros.length)
        await this.write(at, zeros.subarray(0, Math.min(zeros.length, extentEnd - at)), { signal })
    }
  }

  async #zeroClusters(first: number, last: number, punch: boolean, signal: AbortSignal | undefined): Promise<void> {
    const backingBytes = this.layer.backing?.sizeBytes ?? 0
    for (let at = first; at < last;) {
      signal?.throwIfAborted()
      const index = Math.floor(at / this.#tableSpan)
      const next = Math.min((index + 1) * this.#tableSpan, last)
      const from = at
      // Where no table is and nothing shows through, there are zeros already.
      const allocated = this.editor.tables.nextAllocated(index)
      if (allocated > index && from >= backingBytes) at = Math.min(allocated * this.#tableSpan, last)
      else {
        await this.exclusive(() =>
          this.#eachCluster(from, next, (table, inTable, offset) =>
            this.clusters.zeroCluster(table, inTable, offset < backingBytes, punch),
          ),
        )
        at = next
      }
    }
  }

  /** Changes whole clusters of `[first, last)`, a table at a time. */
  async #eachCluster(
    first: number,
    last: number,
    change: (table: DataView, index: number, offset: number) => Promise<void>,
  ): Promise<void> {
    const { clusterBytes } = this.editor.format
    await this.#prepare()
    await this.#settle()
    const index = Math.floor(first / this.#tableSpan)
    const table = await this.editor.tables.change(index)
    for (let at = first; at < last; at += clusterBytes)
      await change(table, (at - index * this.#tableSpan) / clusterBytes, at)
  }

  /** Hides the backing file behind the zeros of one cluster. */
  async hideBacking(offset: number): Promise<void> {
    const { clusterBytes } = this.editor.format
    await this.exclusive(() =>
      this.#eachCluster(offset, offset + clusterBytes, (table, index) => this.clusters.hideBacking(table, index)),
    )
  }

  /** Gives back the clusters of `[first, last)`, which lie in one table and behind the end of the disk. */
  async drop(first: number, last: number): Promise<void> {
    await this.exclusive(() =>
      this.#eachCluster(first, last, (table, index) => this.clusters.zeroCluster(table, index, false, true)),
    )
  }

  async flush(): Promise<void> {
    await this.exclusive(async () => {
      await this.#settle()
      await this.editor.persist()
    })
  }

  async finish(): Promise<void> {
    await this.exclusive(async () => {
      await this.#settle()
      if (this.editor.failure !== undefined || !this.editor.isChanged) return
      await this.editor.finish(await this.bitmaps.save(this.editor))
    })
  }
}

/** The disk over the engine. */
export const writerDisk = (writer: ImageWriter, { backing, close }: WriterParts): Qcow2Writer => {
  const { editor, layer } = writer
  const { sizeBytes } = layer
  // A table points to a new cluster before its bytes have arrived there: what touches one cluster waits for each other.
  const lock = new SharedRangeLock(layer.clusterBytes)
  let closing: Promise<void> | undefined
  const closeAll = async (): Promise<void> => {
    try {
      await writer.finish()
    } finally {
      await close()
    }
  }
  return {
    sizeBytes,
    blockBytes: BLOCK_BYTES,
    readsZero: backing === undefined && editor.tables.nextAllocated(0) === Infinity,
    info: () => infoOf(editor.header),
    addBitmap: bitmap =>
      writer.exclusive(async () => {
        await writer.begin()
        writer.bitmaps.add(bitmap)
      }),
    async read(offset, target, { signal } = {}) {
      signal?.throwIfAborted()
      checkRange(offset, target.length, sizeBytes)
      const range = { offset, length: target.length, isShared: true }
      await lock.run(range, () => readLayer(layer, offset, target, signal))
    },
    async *extents({ offset = 0, length = sizeBytes - offset, signal } = {}) {
      signal?.throwIfAborted()
      checkRange(offset, length, sizeBytes)
      yield* layerExtents(layer, offset, length, signal)
    },
    async write(offset, bytes, options = {}) {
      options.signal?.throwIfAborted()
      checkRange(offset, bytes.length, sizeBytes)
      await lock.run({ offset, length: bytes.length, isShared: false }, () => writer.write(offset, bytes, options))
    },
    async zero(offset, length, options = {}) {
      options.signal?.throwIfAborted()
      checkRange(offset, length, sizeBytes)
      await lock.run({ offset, length, isShared: false }, () => writer.zero(offset, length, options))
    },
    async flush({ signal } = {}) {
      signal?.throwIfAborted()
      await writer.flush()
    },
    [Symbol.asyncDispose]: () => (closing ??= closeAll()),
  }
}
