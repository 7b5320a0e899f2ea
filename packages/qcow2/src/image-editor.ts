/** An image that is being changed: its header, tables and clusters, and the order in which they reach the disk. @module */
import { Allocator } from './allocator.ts'
import { readL1, readTableBytes } from './cluster-map.ts'
import { entryFormat } from './cluster-runs.ts'
import type { EntryFormat } from './cluster-runs.ts'
import { corrupt, unsupported } from './format.ts'
import { encodeHeader } from './header-writer.ts'
import type { Qcow2Header } from './header.ts'
import { ImageTables } from './image-tables.ts'
import type { WritableFile } from './random-file.ts'
import { RefcountStore, readRefcountTable, refcountAt } from './refcounts.ts'
import type { RefcountPlace } from './refcounts.ts'
import { USE } from './reference-counts.ts'
import type { ReferenceCounts } from './reference-counts.ts'
import { ImageWalk } from './walk.ts'

/**
 * The rules that make a crash at any moment harmless:
 *
 * 1. Before anything else changes, the header gets the dirty flag, and is flushed: from then on the refcounts on disk
 *    are not trusted, and whoever opens the image to write counts anew.
 * 2. Data is durable before an L2 entry points to it, an L2 table before an L1 entry does, an L1 table before the header does.
 * 3. What the tables on disk point to is never given out again.
 * 4. The flag goes when refcounts are right and durable. After any failed write it stays.
 */
export class ImageEditor {
  readonly file: WritableFile
  readonly format: EntryFormat
  readonly allocator: Allocator
  readonly refcounts: RefcountStore
  readonly tables: ImageTables
  #header: Qcow2Header
  #isChanged = false
  #failure: unknown

  constructor(
    file: WritableFile,
    header: Qcow2Header,
    parts: { allocator: Allocator; refcounts: RefcountStore; tables: ImageTables },
  ) {
    this.file = file
    this.format = entryFormat(header)
    this.#header = header
    this.allocator = parts.allocator
    this.refcounts = parts.refcounts
    this.tables = parts.tables
  }

  get header(): Qcow2Header {
    return this.#header
  }

  /** True from the first change to the end. */
  get isChanged(): boolean {
    return this.#isChanged
  }

  /** Rule 1. To be called before every change. */
  async begin(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#isChanged) return
    this.#isChanged = true
    await this.changeHeader({ isDirty: true })
  }

  /** After this the image can only be closed, and stays dirty. */
  fail(error: unknown): void {
    this.#failure ??= error
  }

  get failure(): unknown {
    return this.#failure
  }

  /** Writes the header with some fields changed, and flushes. Everything it points to must be durable. */
  async changeHeader(fields: Partial<Qcow2Header>): Promise<void> {
    this.#header = { ...this.#header, ...fields }
    await this.file.write(0, encodeHeader(this.#header))
    await this.file.flush()
  }

  /** Makes room in the L1 table for a larger disk. The tables must have been saved. */
  async growL1(entries: number): Promise<void> {
    const old = this.#header.l1
    if (entries <= old.entries) return
    await this.persist()
    await this.changeHeader({ l1: await this.tables.growL1(entries) })
    const clusters = Math.ceil((old.entries * 8) / this.format.clusterBytes)
    await this.allocator.release(old.offset, Math.max(1, clusters))
  }

  /** Rule 2: makes all data and tables durable. */
  async persist(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    await this.file.flush()
    if (this.tables.isDirty) await this.tables.save()
    this.allocator.reuseFreed()
  }

  /** Rule 4. */
  async finish(fields: Partial<Qcow2Header> = {}): Promise<void> {
    await this.persist()
    await this.refcounts.save()
    await this.allocator.trim()
    await this.file.flush()
    await this.changeHeader({ ...fields, refcounts: this.refcounts.place, isDirty: false })
    this.#isChanged = false
  }
}

export interface EditorOptions {
  /** Most bytes of L2 tables kept. */
  readonly cacheBytes: number
}

/**
 * Opens an image to be changed.
 *
 * @throws GranaryError `GRANARY_UNSUPPORTED` for a version, a feature or a state that we do not write
 */
export const openEditor = async (
  file: WritableFile,
  header: Qcow2Header,
  { cacheBytes }: EditorOptions,
): Promise<ImageEditor> => {
  if (header.version === 2)
    throw unsupported('images of version 2 are not written', { version: 2 }, 'run: qemu-img amend -o compat=1.1 IMAGE')
  if (header.isCorrupt)
    throw unsupported(
      'the image is marked corrupt and is not written',
      {},
      'run: qemu-img check -r all IMAGE, on a copy',
    )
  if (header.hasDataFile) throw unsupported('images with an external data file are not written')
  if (header.isDirty) return (await recount(file, header, cacheBytes)).editor
  const table = await readRefcountTable(file, header.refcounts, header.clusterBytes)
  const end = Math.max(file.sizeBytes, await countedEnd(file, header, table))
  return await assembleEditor(file, header, end, { place: header.refcounts, table }, cacheBytes)
}

/**
 * Opens an image whose refcounts cannot be trusted: they are counted from its tables and written to new places.
 * The old ones stay where they are until the header points to the new ones.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when there is more amiss than refcounts
 */
export const recount = async (
  file: WritableFile,
  header: Qcow2Header,
  cacheBytes: number,
): Promise<{ editor: ImageEditor; counts: ReferenceCounts }> => {
  let isContent = true
  const walk = new ImageWalk(file, header, ({ kind, message, offset }) => {
    if (kind !== 'copied' && isContent)
      throw corrupt(`the image is damaged, not only dirty: ${message} at ${offset}`, { kind, offset })
  })
  await walk.walkContent()
  isContent = false
  await walk.walkRefcounts()
  let end = 0
  for (const [cluster] of walk.counts.entries()) end = (cluster + 1) * header.clusterBytes
  const nowhere = { offset: 0, clusters: 0, order: header.refcounts.order }
  const editor = await assembleEditor(file, header, end, { place: nowhere, table: new Float64Array() }, cacheBytes)
  await editor.begin()
  for (const [cluster, count] of walk.counts.entries())
    if (walk.counts.use(cluster) !== USE.refcounts) await editor.refcounts.set(cluster, count)
  return { editor, counts: walk.counts }
}

/** End of the last cluster that has a refcount: an image may count clusters past the end of its file. */
const countedEnd = async (file: WritableFile, header: Qcow2Header, table: Float64Array): Promise<number> => {
  const last = table.findLastIndex(offset => offset !== 0)
  if (last === -1) return 0
  const { clusterBytes, refcounts } = header
  const perBlock = (clusterBytes * 8) / 2 ** refcounts.order
  const block = await readTableBytes(file, table[last] as number, clusterBytes, 'a refcount block', false)
  for (let index = perBlock - 1; index >= 0; index--)
    if (refcountAt(block, index, refcounts.order) > 0) return (last * perBlock + index + 1) * clusterBytes
  return 0
}

/** @param endBytes end of all that is in use */
const assembleEditor = async (
  file: WritableFile,
  header: Qcow2Header,
  endBytes: number,
  { place, table }: { readonly place: RefcountPlace; readonly table: Float64Array },
  cacheBytes: number,
): Promise<ImageEditor> => {
  const allocator = new Allocator(file, header.clusterBytes, endBytes)
  const refcounts = new RefcountStore(file, header.clusterBytes, place, table, clusters => allocator.append(clusters))
  allocator.refcounts = refcounts
  const l1 = { offset: header.l1.offset, bytes: await readL1(file, header.l1, false) }
  const tables = new ImageTables(file, entryFormat(header), allocator, l1, cacheBytes)
  return new ImageEditor(file, header, { allocator, refcounts, tables })
}
