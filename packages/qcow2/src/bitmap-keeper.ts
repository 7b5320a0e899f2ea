/**
 * The persistent bitmaps of an image that is being written. A bitmap that must be kept up to date and is not
 * would make the next incremental backup miss what was written: while the image is open, each is marked in use,
 * and only a clean close makes it good again.
 *
 * @see QEMU docs/interop/qcow2.txt, section "Bitmaps"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { BITMAP_FLAG, DIRECTORY_AT, DIRTY_TRACKING, bitmapRanges, readBitmaps } from './bitmaps.ts'
import type { BitmapEntry } from './bitmaps.ts'
import { readTableBytes } from './cluster-map.ts'
import {
  OFFSET_HIGH_MASK,
  OFFSET_LOW_MASK,
  MAX_BITMAPS,
  MAX_NAME_BYTES,
  WORD,
  overLimit,
  viewOf,
  writeU64,
} from './format.ts'
import type { BitmapDirectoryPlace, Qcow2Header } from './header.ts'
import type { ImageEditor } from './image-editor.ts'
import type { RandomFile, WritableFile } from './random-file.ts'

export interface NewBitmap {
  readonly name: string
  /** Bytes of the disk that one bit stands for: a power of two from 512 to 2 GiB. @default 65536 */
  readonly granularityBytes?: number
  /** Every writer must keep it up to date from now on. @default true */
  readonly isAuto?: boolean
  /** What it says has changed already. @default nothing */
  readonly dirty?: Iterable<{ readonly offset: number; readonly length: number }>
}

/** A bitmap that changes with the disk, in memory. */
interface LiveBitmap {
  readonly name: string
  readonly granularityBits: number
  readonly isAuto: boolean
  bits: Bytes
}

/** All bitmaps in memory together, bytes. */
const MAX_BITS_BYTES = 512 * 1024 * 1024

export const loadBitmaps = async (file: RandomFile, header: Qcow2Header): Promise<BitmapKeeper> => {
  const entries = await readBitmaps(file, header)
  const keeper = new BitmapKeeper(header, entries)
  for (const entry of entries) {
    const { isAuto, isInUse, name, granularityBytes } = entry.bitmap
    if (!isAuto || isInUse || entry.obstacle !== undefined) continue
    const dirty: { offset: number; length: number }[] = []
    for await (const range of bitmapRanges(file, header, entry, 0, header.sizeBytes)) if (range.dirty) dirty.push(range)
    keeper.add({ name, granularityBytes, isAuto, dirty })
  }
  return keeper
}

export class BitmapKeeper {
  readonly #clusterBytes: number
  #sizeBytes: number
  readonly #place: BitmapDirectoryPlace | undefined
  /** As they stand in the image. */
  readonly #stored: readonly BitmapEntry[]
  readonly #live = new Map<string, LiveBitmap>()

  constructor(header: Qcow2Header, stored: readonly BitmapEntry[]) {
    this.#clusterBytes = header.clusterBytes
    this.#sizeBytes = header.sizeBytes
    this.#place = header.bitmaps
    this.#stored = stored
  }

  /** @throws GranaryError `GRANARY_INVALID_ARGUMENT`, or `GRANARY_LIMIT` when there are too many or too fine ones */
  add({ name, granularityBytes = 65_536, isAuto = true, dirty = [] }: NewBitmap): void {
    const granularityBits = Math.log2(granularityBytes)
    const nameBytes = Buffer.byteLength(name)
    if (!Number.isInteger(granularityBits) || granularityBits < 9 || granularityBits > 31)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `a bitmap with a granularity of ${granularityBytes} bytes`)
    if (nameBytes === 0 || nameBytes > MAX_NAME_BYTES)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `a bitmap with a name of ${nameBytes} bytes`)
    const bitmap = { name, granularityBits, isAuto, bits: this.#emptyBits(granularityBits) }
    const others = [...this.#live.values()].filter(other => other.name !== name)
    if (others.reduce((sum, { bits }) => sum + bits.length, bitmap.bits.length) > MAX_BITS_BYTES)
      throw overLimit('the bitmaps take more than 512 MiB of memory')
    if (this.#live.size >= MAX_BITMAPS) throw overLimit(`more than ${MAX_BITMAPS} bitmaps`)
    this.#live.set(name, bitmap)
    for (const { offset, length } of dirty) setBits(bitmap, offset, length)
  }

  #emptyBits(granularityBits: number): Bytes {
    const lengthBytes = Math.ceil(this.#sizeBytes / 2 ** granularityBits / 8)
    if (lengthBytes > MAX_BITS_BYTES) throw overLimit('a bitmap takes more than 512 MiB of memory')
    return new Uint8Array(lengthBytes)
  }

  /** Takes note of a change, in every bitmap that follows the disk. */
  mark(offset: number, length: number): void {
    for (const bitmap of this.#live.values()) if (bitmap.isAuto) setBits(bitmap, offset, length)
  }

  /** The disk has another size now. What is new counts as changed. */
  resize(sizeBytes: number): void {
    const old = this.#sizeBytes
    this.#sizeBytes = sizeBytes
    for (const bitmap of this.#live.values()) {
      const bits = this.#emptyBits(bitmap.granularityBits)
      bits.set(bitmap.bits.subarray(0, bits.length))
      bitmap.bits = bits
      if (sizeBytes > old) setBits(bitmap, old, sizeBytes - old)
    }
  }

  /** True when the image has bitmaps that are kept as they are, whatever happens to the disk. */
  get hasFrozen(): boolean {
    return this.#stored.some(({ bitmap }) => !this.#live.has(bitmap.name))
  }

  /** Before the first change: says on disk that what follows the disk is not to be trusted now. */
  async markInUse(file: WritableFile): Promise<void> {
    const followers = this.#stored.filter(({ bitmap }) => this.#live.get(bitmap.name)?.isAuto === true)
    for (const { raw, at } of followers) {
      const flags = new Uint8Array(4)
      viewOf(flags).setUint32(0, (viewOf(raw).getUint32(DIRECTORY_AT.flags) | BITMAP_FLAG.inUse) >>> 0)
      await file.write((this.#place?.offset ?? 0) + at + DIRECTORY_AT.flags, flags)
    }
    if (followers.length > 0) await file.flush()
  }

  /** Writes what follows the disk to new places. @returns the header fields that make it count */
  async save(editor: ImageEditor): Promise<Partial<Qcow2Header>> {
    if (this.#live.size === 0) return {}
    const entries: Bytes[] = this.#stored.filter(({ bitmap }) => !this.#live.has(bitmap.name)).map(({ raw }) => raw)
    for (const bitmap of this.#live.values()) entries.push(await this.#write(editor, bitmap))
    const lengthBytes = entries.reduce((sum, entry) => sum + padded(entry.length), 0)
    const directory = new Uint8Array(lengthBytes)
    let at = 0
    for (const entry of entries) {
      directory.set(entry, at)
      at += padded(entry.length)
    }
    const { offset } = await editor.allocator.allocate(Math.ceil(lengthBytes / this.#clusterBytes))
    await editor.file.write(offset, directory)
    await this.#releaseStored(editor)
    return { bitmaps: { offset, lengthBytes, count: entries.length } }
  }

  /** Bits, table and directory entry of one bitmap. */
  async #write(editor: ImageEditor, { name, granularityBits, isAuto, bits }: LiveBitmap): Promise<Bytes> {
    const clusterBytes = this.#clusterBytes
    const table = new Uint8Array(Math.ceil(bits.length / clusterBytes) * 8)
    const nothing = Buffer.alloc(clusterBytes)
    for (let index = 0; index < table.length / 8; index++) {
      const part = bits.subarray(index * clusterBytes, (index + 1) * clusterBytes)
      if (nothing.subarray(0, part.length).equals(part)) continue
      const { offset } = await editor.allocator.allocate(1)
      const cluster = new Uint8Array(clusterBytes)
      cluster.set(part)
      await editor.file.write(offset, cluster)
      writeU64(viewOf(table), index * 8, offset)
    }
    const { offset } = await editor.allocator.allocate(Math.max(1, Math.ceil(table.length / clusterBytes)))
    await editor.file.write(offset, table)
    const nameBytes = Buffer.from(name)
    const entry = new Uint8Array(DIRECTORY_AT.end + nameBytes.length)
    const view = viewOf(entry)
    writeU64(view, DIRECTORY_AT.tableOffset, offset)
    view.setUint32(DIRECTORY_AT.tableEntries, table.length / 8)
    view.setUint32(DIRECTORY_AT.flags, isAuto ? BITMAP_FLAG.auto : 0)
    view.setUint8(DIRECTORY_AT.type, DIRTY_TRACKING)
    view.setUint8(DIRECTORY_AT.granularity, granularityBits)
    view.setUint16(DIRECTORY_AT.nameLength, nameBytes.length)
    entry.set(nameBytes, DIRECTORY_AT.end)
    return entry
  }

  /** Gives back the directory, and what the bitmaps that were written anew took. */
  async #releaseStored({ allocator, file }: ImageEditor): Promise<void> {
    const clusterBytes = this.#clusterBytes
    if (this.#place !== undefined)
      await allocator.release(this.#place.offset, Math.ceil(this.#place.lengthBytes / clusterBytes))
    for (const { bitmap, table } of this.#stored) {
      if (!this.#live.has(bitmap.name)) continue
      const view = viewOf(await readTableBytes(file, table.offset, table.entries * 8, 'a bitmap table', false))
      for (let at = 0; at < view.byteLength; at += 8) {
        const host = (view.getUint32(at) & OFFSET_HIGH_MASK) * WORD + ((view.getUint32(at + 4) & OFFSET_LOW_MASK) >>> 0)
        if (host !== 0) await allocator.release(host)
      }
      await allocator.release(table.offset, Math.max(1, Math.ceil((table.entries * 8) / clusterBytes)))
    }
  }
}

const padded = (length: number): number => Math.ceil(length / 8) * 8

/** Sets the bits of every granule that a range touches. */
const setBits = ({ bits, granularityBits }: LiveBitmap, offset: number, length: number): void => {
  if (length === 0) return
  const first = Math.floor(offset / 2 ** granularityBits)
  const last = Math.min(bits.length * 8 - 1, Math.floor((offset + length - 1) / 2 ** granularityBits))
  for (let bit = first; bit <= last;) {
    if ((bit & 7) === 0 && bit + 8 <= last + 1) {
      const whole = (last + 1 - bit) >> 3
      bits.fill(0xff, bit >> 3, (bit >> 3) + whole)
      bit += whole * 8
    } else {
      bits[bit >> 3] = (bits[bit >> 3] as number) | (1 << (bit & 7))
      bit++
    }
  }
}
