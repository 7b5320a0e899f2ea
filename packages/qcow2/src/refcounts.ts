/** Refcounts of every width. @see QEMU docs/interop/qcow2.txt, section "Host cluster management" @module */
import type { Bytes } from '@granary/core'
import { readTableBytes } from './cluster-map.ts'
import { corrupt, overLimit, readU64, viewOf, writeU64, MAX_REFCOUNT_TABLE_BYTES } from './format.ts'
import type { RandomFile, WritableFile } from './random-file.ts'

/** Where the refcount table stands and how wide a refcount is: 2^order bits. */
export interface RefcountPlace {
  readonly offset: number
  readonly clusters: number
  readonly order: number
}

/** The refcount at `index` of a block; widths below a byte stand lowest bits first. Above 2^53 only near. */
export const refcountAt = (block: Bytes, index: number, order: number): number => {
  if (order < 3) {
    const bits = 1 << order
    const bit = index * bits
    return ((block[bit >> 3] as number) >> (bit & 7)) & ((1 << bits) - 1)
  }
  if (order === 3) return block[index] as number
  // The usual width, for every cluster there is: without a view for each.
  if (order === 4) return ((block[index * 2] as number) << 8) | (block[index * 2 + 1] as number)
  const view = viewOf(block)
  return order === 5 ? view.getUint32(index * 4) : readU64(view, index * 8)
}

const setRefcountAt = (block: Bytes, index: number, order: number, value: number): void => {
  const view = viewOf(block)
  if (order < 3) {
    const bits = 1 << order
    const bit = index * bits
    const mask = ((1 << bits) - 1) << (bit & 7)
    block[bit >> 3] = ((block[bit >> 3] as number) & ~mask) | (value << (bit & 7))
  } else if (order === 3) block[index] = value
  else if (order === 4) view.setUint16(index * 2, value)
  else if (order === 5) view.setUint32(index * 4, value)
  else writeU64(view, index * 8, value)
}

/** Most that a refcount can be. */
const maxRefcount = (order: number): number => (order === 6 ? Number.MAX_SAFE_INTEGER : 2 ** (2 ** order) - 1)

/** Reads the refcount table: host offsets of refcount blocks, 0 where there is none. */
export const readRefcountTable = async (
  file: RandomFile,
  { offset, clusters }: RefcountPlace,
  clusterBytes: number,
  isLenient = false,
): Promise<Float64Array> => {
  const bytes = await readTableBytes(file, offset, clusters * clusterBytes, 'the refcount table', isLenient)
  const view = viewOf(bytes)
  const blocks = new Float64Array(bytes.length / 8)
  for (let index = 0; index < blocks.length; index++) {
    const block = readU64(view, index * 8)
    blocks[index] = block - (block % 512) // Bits 0 to 8 are reserved.
  }
  return blocks
}

interface Block {
  readonly bytes: Bytes
  isDirty: boolean
}

/** Blocks kept in memory, bytes. */
const BLOCK_CACHE_BYTES = 8 * 1024 * 1024

/** The refcounts of an image that is being written. They reach the file with `save`; until then the image carries the dirty flag. */
export class RefcountStore {
  readonly #file: WritableFile
  readonly #clusterBytes: number
  readonly #order: number
  readonly #perBlock: number
  readonly #maxBlocks: number
  readonly #append: (clusters: number) => Promise<number>
  readonly #blocks = new Map<number, Block>()
  #table: Float64Array
  #place: RefcountPlace

  /** @param append gives the host offset of new clusters at the end of the file, without counting them */
  constructor(
    file: WritableFile,
    clusterBytes: number,
    place: RefcountPlace,
    table: Float64Array,
    append: (clusters: number) => Promise<number>,
  ) {
    this.#file = file
    this.#clusterBytes = clusterBytes
    this.#order = place.order
    this.#perBlock = (clusterBytes * 8) / 2 ** place.order
    this.#maxBlocks = Math.max(4, Math.floor(BLOCK_CACHE_BYTES / clusterBytes))
    this.#place = place
    this.#table = table
    this.#append = append
  }

  get place(): RefcountPlace {
    return this.#place
  }

  get max(): number {
    return maxRefcount(this.#order)
  }

  async get(cluster: number): Promise<number> {
    const index = Math.floor(cluster / this.#perBlock)
    if (index >= this.#table.length || this.#table[index] === 0) return 0
    return refcountAt((await this.#block(index)).bytes, cluster % this.#perBlock, this.#order)
  }

  async set(cluster: number, value: number): Promise<void> {
    if (value > this.max) throw overLimit(`cluster ${cluster} is shared more often than its refcount can say`)
    const index = Math.floor(cluster / this.#perBlock)
    const block = await this.#blockForWrite(index)
    setRefcountAt(block.bytes, cluster % this.#perBlock, this.#order, value)
    block.isDirty = true
  }

  /** Adds to the refcount of each of `count` clusters; gives the last one's new refcount. */
  async add(cluster: number, count: number, difference: number): Promise<number> {
    let value = 0
    for (let at = cluster; at < cluster + count; at++) {
      value = (await this.get(at)) + difference
      if (value < 0) throw corrupt(`the refcount of cluster ${at} is too small`, { cluster: at })
      await this.set(at, value)
    }
    return value
  }

  async #block(index: number): Promise<Block> {
    const known = this.#blocks.get(index)
    if (known !== undefined) return known
    const offset = this.#table[index] as number
    if (offset % this.#clusterBytes !== 0) throw corrupt(`refcount block ${index} is unaligned`, { offset })
    const bytes = await readTableBytes(this.#file, offset, this.#clusterBytes, 'a refcount block', false)
    return await this.#keep(index, { bytes, isDirty: false })
  }

  async #keep(index: number, block: Block): Promise<Block> {
    this.#blocks.set(index, block)
    if (this.#blocks.size > this.#maxBlocks) {
      const [oldest, { bytes, isDirty }] = this.#blocks.entries().next().value as [number, Block]
      // Written before the table says so: the image is marked dirty, and whoever opens it counts anew.
      if (isDirty) await this.#file.write(this.#table[oldest] as number, bytes)
      this.#blocks.delete(oldest)
    }
    return block
  }

  async #blockForWrite(index: number): Promise<Block> {
    if (index >= this.#table.length) await this.#growTable(index + 1)
    if (this.#table[index] !== 0) return await this.#block(index)
    const offset = await this.#append(1)
    this.#table[index] = offset
    const block = await this.#keep(index, { bytes: new Uint8Array(this.#clusterBytes), isDirty: true })
    await this.set(offset / this.#clusterBytes, 1) // Its own count, perhaps in itself.
    return this.#blocks.get(index) ?? block
  }

  async #growTable(blocks: number): Promise<void> {
    const old = this.#place
    const wanted = Math.max(blocks, this.#table.length * 2)
    const clusters = Math.ceil((wanted * 8) / this.#clusterBytes)
    if (clusters * this.#clusterBytes > MAX_REFCOUNT_TABLE_BYTES)
      throw overLimit('the image has become too large for its cluster size: the refcount table is full')
    const offset = await this.#append(clusters)
    const table = new Float64Array((clusters * this.#clusterBytes) / 8)
    table.set(this.#table)
    this.#table = table
    this.#place = { ...old, offset, clusters }
    await this.add(offset / this.#clusterBytes, clusters, 1)
    if (old.clusters > 0) await this.add(old.offset / this.#clusterBytes, old.clusters, -1)
  }

  /** Writes blocks and table. The caller then flushes, and writes the header when `place` has changed. */
  async save(): Promise<void> {
    for (const [index, block] of this.#blocks) {
      if (!block.isDirty) continue
      await this.#file.write(this.#table[index] as number, block.bytes)
      block.isDirty = false
    }
    const bytes = new Uint8Array(this.#place.clusters * this.#clusterBytes)
    const view = viewOf(bytes)
    for (let index = 0; index < this.#table.length; index++) writeU64(view, index * 8, this.#table[index] as number)
    await this.#file.flush()
    await this.#file.write(this.#place.offset, bytes)
  }
}
