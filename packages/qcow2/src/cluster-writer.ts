/**
 * Writes into the clusters that one L2 table stands for. The caller sees to it that nobody else
 * changes the tables meanwhile.
 *
 * @module
 */
import type { Bytes } from '@granary/core'
import { readEntry, unitMask, unitsOf, writeCompressedEntry, writeEntry } from './cluster-entry.ts'
import type { ClusterEntry } from './cluster-entry.ts'
import type { ImageEditor } from './image-editor.ts'
import { readLayer } from './layer.ts'
import type { Layer } from './layer.ts'

/** Bytes on their way to the file. */
export interface PlannedWrite {
  readonly host: number
  bytes: Bytes
}

/** Compresses clusters side by side; undefined where nothing is won. */
export type CompressClusters = (clusters: readonly Bytes[]) => Promise<readonly (Bytes | undefined)[]>

export interface ClusterWriterParts {
  readonly editor: ImageEditor
  /** The image as it reads now, for what a partial write leaves of a cluster. */
  readonly layer: Layer
  /** Waits for all planned writes. */
  readonly settle: () => Promise<void>
  readonly compress: CompressClusters | undefined
  readonly forgetCluster: (host: number) => void
}

/** Clusters by their index in the table; undefined where compressing wins nothing. */
export type ReadyClusters = ReadonlyMap<number, Bytes | undefined>

/** One cluster of a request. */
interface Piece {
  readonly index: number
  /** Guest offset of the cluster. */
  readonly start: number
  /** The part that is written, bytes from the start of the cluster. */
  readonly from: number
  readonly to: number
  readonly bytes: Bytes
}

export class ClusterWriter {
  readonly #parts: ClusterWriterParts
  readonly #clusterBytes: number
  readonly #units: number

  constructor(parts: ClusterWriterParts) {
    this.#parts = parts
    this.#clusterBytes = parts.editor.format.clusterBytes
    this.#units = unitsOf(parts.editor.format)
  }

  /** Compresses the whole clusters of a range ahead of `plan`, when others may still change the tables. */
  async compress(tableStart: number, offset: number, bytes: Bytes): Promise<ReadyClusters | undefined> {
    if (this.#parts.compress === undefined) return undefined
    const whole = this.#pieces(tableStart, offset, bytes).filter(piece => piece.bytes.length === this.#clusterBytes)
    const compressed = await this.#parts.compress(whole.map(piece => piece.bytes))
    return new Map(whole.map((piece, index) => [piece.index, compressed[index]]))
  }

  /**
   * Plans the writing of a range inside one L2 table: tables are changed, what must be read is read and written.
   *
   * @returns what is left to write
   */
  async plan(
    tableIndex: number,
    tableStart: number,
    offset: number,
    bytes: Bytes,
    ready: ReadyClusters | undefined,
  ): Promise<PlannedWrite[]> {
    const table = await this.#parts.editor.tables.change(tableIndex)
    const pieces = this.#pieces(tableStart, offset, bytes)
    if (ready !== undefined) return await this.#planCompressed(table, pieces, ready)
    const planned: PlannedWrite[] = []
    const fresh = await this.#allocateRuns(table, pieces)
    for (const piece of pieces) await this.#planPiece(table, piece, planned, fresh.get(piece.index))
    return planned
  }

  #pieces(tableStart: number, offset: number, bytes: Bytes): Piece[] {
    const pieces: Piece[] = []
    const end = offset + bytes.length
    for (let at = offset; at < end;) {
      const start = at - (at % this.#clusterBytes)
      const next = Math.min(start + this.#clusterBytes, end)
      const index = (start - tableStart) / this.#clusterBytes
      pieces.push({
        index,
        start,
        from: at - start,
        to: next - start,
        bytes: bytes.subarray(at - offset, next - offset),
      })
      at = next
    }
    return pieces
  }

  /** One allocation for neighbours that have no cluster yet, so that they lie side by side and are written at once. */
  async #allocateRuns(table: DataView, pieces: readonly Piece[]): Promise<Map<number, number>> {
    const fresh = new Map<number, number>()
    const { editor } = this.#parts
    const isNew = (piece: Piece | undefined): boolean => {
      if (piece === undefined) return false
      const entry = readEntry(editor.format, table, piece.index)
      return (
        entry.host === undefined &&
        entry.compressed === undefined &&
        (this.#isWhole(piece) || !this.#showsData(piece, entry))
      )
    }
    for (let first = 0; first < pieces.length;) {
      let last = first
      while (isNew(pieces[last])) last++
      const count = last - first
      if (count > 1) {
        const { offset } = await editor.allocator.allocate(count)
        for (let index = first; index < last; index++)
          fresh.set((pieces[index] as Piece).index, offset + (index - first) * this.#clusterBytes)
      }
      first = Math.max(last, first + 1)
    }
    return fresh
  }

  async #planPiece(table: DataView, piece: Piece, planned: PlannedWrite[], fresh: number | undefined): Promise<void> {
    const { editor } = this.#parts
    const entry = readEntry(editor.format, table, piece.index)
    const mask = this.#touched(piece)
    if (entry.host !== undefined && entry.isOwn) {
      const isWholeUnits = this.#isWholeUnits(piece)
      if ((entry.alloc & mask) >>> 0 !== mask && !isWholeUnits)
        return await this.#merge(table, piece, entry, entry.host)
      this.#set(table, piece, entry.host, entry, mask)
      return join(planned, { host: entry.host + piece.from, bytes: piece.bytes })
    }
    await this.#planNew(table, piece, entry, planned, fresh)
  }

  /** For a piece without a cluster of its own. */
  async #planNew(
    table: DataView,
    piece: Piece,
    entry: ClusterEntry,
    planned: PlannedWrite[],
    fresh: number | undefined,
  ): Promise<void> {
    const { allocator } = this.#parts.editor
    const isReplaced = this.#isWhole(piece)
    const isPlain = entry.host === undefined && entry.compressed === undefined
    if (!isReplaced && !(isPlain && (this.#isWholeUnits(piece) || !this.#showsData(piece, entry))))
      return await this.#merge(table, piece, entry, undefined)
    const { offset: host, isFresh } =
      fresh === undefined ? await allocator.allocate(1) : { offset: fresh, isFresh: true }
    const isCovered = isReplaced ? piece.to === this.#clusterBytes : this.#isWholeUnits(piece)
    if (!isFresh && !isCovered) return await this.#merge(table, piece, entry, undefined, host)
    await this.#release(entry)
    if (isReplaced) this.#set(table, piece, host, undefined, unitMask(0, this.#units))
    else this.#set(table, piece, host, entry, this.#touched(piece))
    join(planned, { host: host + piece.from, bytes: piece.bytes })
  }

  /** Reads what the write leaves of the units it touches, and writes them whole. */
  async #merge(
    table: DataView,
    piece: Piece,
    entry: ClusterEntry,
    own: number | undefined,
    given?: number,
  ): Promise<void> {
    const { editor, layer, settle } = this.#parts
    await settle()
    const carriesAll = own === undefined && (entry.host !== undefined || entry.compressed !== undefined)
    const unitBytes = this.#clusterBytes / this.#units
    const from = carriesAll ? 0 : Math.floor(piece.from / unitBytes) * unitBytes
    const to = carriesAll ? this.#clusterBytes : Math.ceil(piece.to / unitBytes) * unitBytes
    const merged = await readMerged(layer, piece, from, to)
    const host = own ?? given ?? (await editor.allocator.allocate(1)).offset
    await editor.file.write(host + from, merged)
    if (own === undefined) await this.#release(entry)
    this.#set(table, piece, host, entry, unitMask(from / unitBytes, to / unitBytes))
  }

  #set(table: DataView, { index }: Piece, host: number, old: ClusterEntry | undefined, mask: number): void {
    const { format } = this.#parts.editor
    writeEntry(format, table, index, {
      host,
      alloc: ((old?.alloc ?? 0) | mask) >>> 0,
      zero: ((old?.zero ?? 0) & ~mask) >>> 0,
    })
  }

  /** Gives back what an entry referred to. */
  async #release(entry: ClusterEntry): Promise<void> {
    const { allocator } = this.#parts.editor
    if (entry.host !== undefined) await allocator.release(entry.host)
    if (entry.compressed === undefined) return
    this.#parts.forgetCluster(entry.compressed.host)
    await allocator.releaseCompressed(entry.compressed.host, entry.compressed.storedBytes)
  }

  #touched({ from, to }: Piece): number {
    const unitBytes = this.#clusterBytes / this.#units
    return unitMask(Math.floor(from / unitBytes), Math.ceil(to / unitBytes))
  }

  /** True when the write leaves nothing of the cluster that belongs to the disk. */
  #isWhole({ start, from, to }: Piece): boolean {
    return from === 0 && (to === this.#clusterBytes || start + to === this.#parts.layer.sizeBytes)
  }

  #isWholeUnits(piece: Piece): boolean {
    const unitBytes = this.#clusterBytes / this.#units
    return piece.from % unitBytes === 0 && piece.to % unitBytes === 0
  }

  /** False when what the write leaves of a cluster without a host cluster is known to be zeros. */
  #showsData({ start }: Piece, entry: ClusterEntry): boolean {
    const { backing } = this.#parts.layer
    if (backing === undefined || start >= backing.sizeBytes) return false
    return entry.zero !== unitMask(0, this.#units)
  }

  /** Whole clusters are compressed already; of others, the whole is made first. */
  async #planCompressed(table: DataView, pieces: readonly Piece[], ready: ReadyClusters): Promise<PlannedWrite[]> {
    const { editor } = this.#parts
    const planned: PlannedWrite[] = []
    const small = await this.#sideBySide(pieces, ready)
    for (const piece of pieces) {
      const entry = readEntry(editor.format, table, piece.index)
      const { bytes, isCompressed } = small.get(piece.index) ?? { bytes: piece.bytes, isCompressed: false }
      const host = isCompressed
        ? await editor.allocator.pack(bytes.length)
        : (await editor.allocator.allocate(1)).offset
      await this.#release(entry)
      if (isCompressed) writeCompressedEntry(editor.format, table, piece.index, host, bytes.length)
      else this.#set(table, piece, host, undefined, unitMask(0, this.#units))
      join(planned, { host, bytes })
    }
    return planned
  }

  /** What is to be written for each piece; compressed clusters stand one behind the other in memory, as they will in the file. */
  async #sideBySide(
    pieces: readonly Piece[],
    ready: ReadyClusters,
  ): Promise<Map<number, { readonly bytes: Bytes; readonly isCompressed: boolean }>> {
    const { layer, settle, compress } = this.#parts
    const found = new Map<number, { bytes: Bytes; isCompressed: boolean }>()
    for (const piece of pieces) {
      let compressed = ready.get(piece.index)
      let plain = piece.bytes
      if (plain.length < this.#clusterBytes) {
        await settle()
        plain = await readMerged(layer, piece, 0, this.#clusterBytes)
        compressed = (await compress?.([plain]))?.[0]
      }
      found.set(piece.index, { bytes: compressed ?? plain, isCompressed: compressed !== undefined })
    }
    const all = [...found.values()].filter(one => one.isCompressed)
    const joined = new Uint8Array(all.reduce((sum, { bytes }) => sum + bytes.length, 0))
    let at = 0
    for (const one of all) {
      joined.set(one.bytes, at)
      one.bytes = joined.subarray(at, (at += one.bytes.length))
    }
    return found
  }

  /** Makes a whole cluster read as zeros. @param punch give its space back */
  async zeroCluster(table: DataView, index: number, showsBacking: boolean, punch: boolean): Promise<void> {
    const { format } = this.#parts.editor
    const entry = readEntry(format, table, index)
    const all = unitMask(0, this.#units)
    const isPlain = entry.host === undefined && entry.compressed === undefined
    if (isPlain && entry.zero === 0 && !showsBacking) return
    const keeps = !punch && entry.isOwn ? entry.host : undefined
    if (keeps === undefined) await this.#release(entry)
    writeEntry(format, table, index, { host: keeps, alloc: 0, zero: keeps !== undefined || showsBacking ? all : 0 })
  }

  /** Hides the backing file behind a whole cluster of zeros, even where there is none yet. */
  async hideBacking(table: DataView, index: number): Promise<void> {
    await this.zeroCluster(table, index, true, true)
  }

  /** Allocates clusters side by side for `count` entries that have none. @returns where they stand */
  async preallocate(table: DataView, first: number, count: number): Promise<number> {
    const { format, allocator } = this.#parts.editor
    const { offset } = await allocator.allocate(count)
    const all = unitMask(0, this.#units)
    for (let index = 0; index < count; index++)
      writeEntry(format, table, first + index, { host: offset + index * format.clusterBytes, alloc: all, zero: 0 })
    return offset
  }

  /** Gives back all that a table refers to. */
  async releaseAll(table: DataView): Promise<void> {
    const { format } = this.#parts.editor
    for (let index = 0; index < format.clusterBytes / format.entryBytes; index++)
      await this.#release(readEntry(format, table, index))
  }
}

/** The part `[from, to)` of a cluster as it reads after the write; zeros past the end of the disk. */
const readMerged = async (layer: Layer, piece: Piece, from: number, to: number): Promise<Bytes> => {
  const merged = new Uint8Array(to - from)
  const shown = Math.max(0, Math.min(to - from, layer.sizeBytes - piece.start - from))
  await readLayer(layer, piece.start + from, merged.subarray(0, shown))
  merged.set(piece.bytes, piece.from - from)
  return merged
}

/** Longest write that is put together from pieces, bytes. */
const MAX_JOINED_BYTES = 4 * 1024 * 1024

/** Adds a write; one that continues the last, in the file and in memory, becomes part of it. */
const join = (planned: PlannedWrite[], next: PlannedWrite): void => {
  const last = planned.at(-1)
  const touches =
    last !== undefined &&
    last.host + last.bytes.length === next.host &&
    last.bytes.buffer === next.bytes.buffer &&
    last.bytes.byteOffset + last.bytes.length === next.bytes.byteOffset
  if (!touches || last.bytes.length >= MAX_JOINED_BYTES) planned.push(next)
  else last.bytes = new Uint8Array(last.bytes.buffer, last.bytes.byteOffset, last.bytes.length + next.bytes.length)
}
