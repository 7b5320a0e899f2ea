/** The L1 and L2 tables of an image that is being written: changed in memory, written in an order that survives a crash. @module */
import type { Bytes } from '@granary/core'
import type { Allocator } from './allocator.ts'
import { l2Offset, nextAllocated, readTableBytes } from './cluster-map.ts'
import type { TableSource } from './cluster-map.ts'
import type { EntryFormat } from './cluster-runs.ts'
import { COMPRESSED_HIGH, COPIED_HIGH, OFFSET_HIGH_MASK, OFFSET_LOW_MASK, WORD, viewOf, writeU64 } from './format.ts'
import type { WritableFile } from './random-file.ts'

interface Table {
  readonly view: DataView
  readonly bytes: Bytes
  isDirty: boolean
}

const SECTOR_BYTES = 512

export class ImageTables implements TableSource {
  l1: Bytes
  l1Offset: number
  readonly #file: WritableFile
  readonly #format: EntryFormat
  readonly #allocator: Allocator
  readonly #tables = new Map<number, Table>()
  readonly #maxTables: number
  /** Sectors of the L1 table that differ from the file. */
  readonly #dirtyL1 = new Set<number>()

  constructor(
    file: WritableFile,
    format: EntryFormat,
    allocator: Allocator,
    l1: { readonly bytes: Bytes; readonly offset: number },
    cacheBytes: number,
  ) {
    this.#file = file
    this.#format = format
    this.#allocator = allocator
    this.l1 = l1.bytes
    this.l1Offset = l1.offset
    this.#maxTables = Math.max(2, Math.floor(cacheBytes / format.clusterBytes))
  }

  nextAllocated(from: number): number {
    return nextAllocated(this.l1, from)
  }

  slice(index: number, at: number, length: number): DataView | Promise<DataView> {
    const known = this.#tables.get(index)
    if (known !== undefined) return new DataView(known.bytes.buffer, known.bytes.byteOffset + at, length)
    return this.#load(index).then(table => new DataView(table.bytes.buffer, table.bytes.byteOffset + at, length))
  }

  /** Lets go of tables that are as on disk, where room is short. False when others must be written before one more can be kept. */
  makeRoom(): boolean {
    for (const [index, table] of this.#tables) {
      if (this.#tables.size < this.#maxTables) return true
      if (!table.isDirty) this.#tables.delete(index)
    }
    return this.#tables.size < this.#maxTables
  }

  /**
   * Moves the L1 table to a larger place, and makes it durable there. The header must point there next; the old place is
   * given back after that.
   */
  async growL1(entries: number): Promise<{ readonly offset: number; readonly entries: number }> {
    const bytes = new Uint8Array(entries * 8)
    bytes.set(this.l1)
    const { offset } = await this.#allocator.allocate(Math.ceil(bytes.length / this.#format.clusterBytes))
    await this.#file.write(offset, bytes)
    await this.#file.flush()
    this.l1 = bytes
    this.l1Offset = offset
    this.#dirtyL1.clear()
    return { offset, entries }
  }

  /** The table of an L1 index, or undefined where there is none. */
  async get(index: number): Promise<DataView | undefined> {
    const known = this.#tables.get(index)
    if (known !== undefined) return known.view
    if (this.nextAllocated(index) !== index) return undefined
    return (await this.#load(index)).view
  }

  /** The table of an L1 index to be changed: made when there is none, copied when a snapshot shares it. */
  async change(index: number): Promise<DataView> {
    const isNew = this.nextAllocated(index) !== index
    const isShared = !isNew && (viewOf(this.l1).getUint32(index * 8) & COPIED_HIGH) === 0
    const table = isNew ? this.#keep(index, new Uint8Array(this.#format.clusterBytes)) : await this.#load(index)
    if (isNew || isShared) {
      const { offset } = await this.#allocator.allocate(1)
      if (isShared) await this.#allocator.release(l2Offset(this.#format, viewOf(this.l1), index))
      this.setL1(index, offset)
    }
    table.isDirty = true
    return table.view
  }

  /** Points an L1 entry to a table that nobody else uses; 0 takes the table away. */
  setL1(index: number, offset: number): void {
    const view = viewOf(this.l1)
    writeU64(view, index * 8, offset)
    if (offset === 0) this.#tables.delete(index)
    else view.setUint32(index * 8, (view.getUint32(index * 8) | COPIED_HIGH) >>> 0)
    this.#dirtyL1.add(Math.floor((index * 8) / SECTOR_BYTES))
  }

  /** Sets the "copied" bits of a table and of the entry that points to it. @param isOwn tells whether a host offset has one reference */
  async fixCopied(index: number, isOwn: (offset: number) => boolean): Promise<void> {
    const l1 = viewOf(this.l1)
    const table = await this.#load(index)
    if (setCopied(l1, index * 8, isOwn)) this.#dirtyL1.add(Math.floor((index * 8) / SECTOR_BYTES))
    for (let at = 0; at < table.bytes.length; at += this.#format.entryBytes)
      if (setCopied(table.view, at, isOwn)) table.isDirty = true
  }

  async #load(index: number): Promise<Table> {
    const known = this.#tables.get(index)
    if (known !== undefined) return known
    const offset = l2Offset(this.#format, viewOf(this.l1), index)
    const bytes = await readTableBytes(this.#file, offset, this.#format.clusterBytes, 'an L2 table', false)
    return this.#tables.get(index) ?? this.#keep(index, bytes)
  }

  #keep(index: number, bytes: Bytes): Table {
    const table = { bytes, view: viewOf(bytes), isDirty: false }
    this.#tables.set(index, table)
    return table
  }

  get isDirty(): boolean {
    if (this.#dirtyL1.size > 0) return true
    for (const table of this.#tables.values()) if (table.isDirty) return true
    return false
  }

  /**
   * Writes what has changed. What the tables point to must be durable before; each level is durable before
   * the one that points to it changes.
   */
  async save(): Promise<void> {
    const view = viewOf(this.l1)
    let hasWritten = false
    for (const [index, table] of this.#tables) {
      if (!table.isDirty) continue
      await this.#file.write(l2Offset(this.#format, view, index), table.bytes)
      table.isDirty = false
      hasWritten = true
    }
    if (hasWritten) await this.#file.flush()
    if (this.#dirtyL1.size === 0) return
    for (const sector of this.#dirtyL1) {
      const at = sector * SECTOR_BYTES
      await this.#file.write(this.l1Offset + at, this.l1.subarray(at, at + SECTOR_BYTES))
    }
    this.#dirtyL1.clear()
    await this.#file.flush()
  }
}

/** Sets or clears the "copied" bit of an entry; compressed ones never have it. @returns whether it has changed */
const setCopied = (view: DataView, at: number, isOwn: (offset: number) => boolean): boolean => {
  const high = view.getUint32(at)
  const offset = (high & OFFSET_HIGH_MASK) * WORD + ((view.getUint32(at + 4) & OFFSET_LOW_MASK) >>> 0)
  const isCompressed = (high & COMPRESSED_HIGH) !== 0
  const bit = !isCompressed && offset !== 0 && isOwn(offset) ? COPIED_HIGH : 0
  const fixed = ((high & ~COPIED_HIGH) | bit) >>> 0
  if (fixed === high) return false
  view.setUint32(at, fixed)
  return true
}
