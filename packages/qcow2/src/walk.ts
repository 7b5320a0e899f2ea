/** Walks everything an image refers to, once, however often it is shared. @module */
import { readBitmaps } from './bitmaps.ts'
import { readTableBytes } from './cluster-map.ts'
import { compressedPlace, entryFormat } from './cluster-runs.ts'
import type { EntryFormat } from './cluster-runs.ts'
import {
  COMPRESSED_HIGH,
  COPIED_HIGH,
  EXTENSION,
  OFFSET_HIGH_MASK,
  OFFSET_LOW_MASK,
  WORD,
  overLimit,
  readU64,
  viewOf,
} from './format.ts'
import type { Qcow2Header, TablePlace } from './header.ts'
import type { RandomFile } from './random-file.ts'
import { ReferenceCounts, USE } from './reference-counts.ts'
import type { Use } from './reference-counts.ts'
import { readRefcountTable } from './refcounts.ts'
import { readSnapshots } from './snapshots.ts'

export type ProblemKind =
  /** A refcount is larger than the references: space is lost, nothing else. */
  | 'leak'
  /** A refcount is smaller than the references: the next writer may overwrite live data. */
  | 'refcount'
  /** A cluster is used as two things. */
  | 'overlap'
  /** "Refcount is one" is said wrongly. */
  | 'copied'
  /** Bits that must be zero are not, or contradict each other. */
  | 'entry'
  /** An offset is not that of a cluster. */
  | 'unaligned'
  /** Something lies past the end of the file. */
  | 'past-end'

export interface Problem {
  readonly kind: ProblemKind
  readonly message: string
  /** Host offset, bytes. */
  readonly offset: number
}

/** L1 tables of all snapshots together, bytes. */
const MAX_L1_TOTAL_BYTES = 1024 * 1024 * 1024

/** Adds to how often an L2 table is used, and whether the active disk uses it. */
const addUse = (uses: Map<number, TableUse>, offset: number, times: number, isActive: boolean): void => {
  const known = uses.get(offset)
  uses.set(offset, { times: (known?.times ?? 0) + times, isActive: isActive || known?.isActive === true })
}

interface TableUse {
  readonly times: number
  readonly isActive: boolean
}

/** An entry of a table of the active disk, whose "copied" bit is to be compared with the refcount. */
export interface CopiedBit {
  readonly cluster: number
  readonly isSet: boolean
}

export class ImageWalk {
  readonly counts = new ReferenceCounts()
  dataClusters = 0
  compressedClusters = 0
  readonly #file: RandomFile
  readonly #header: Qcow2Header
  readonly #format: EntryFormat
  readonly #report: (problem: Problem) => void
  readonly #onCopied: (bit: CopiedBit) => void

  constructor(
    file: RandomFile,
    header: Qcow2Header,
    report: (problem: Problem) => void,
    onCopied: (bit: CopiedBit) => void = () => undefined,
  ) {
    this.#file = file
    this.#header = header
    this.#format = entryFormat(header)
    this.#report = report
    this.#onCopied = onCopied
  }

  /** Counts what the header, the disks, the snapshots and the bitmaps refer to; not the refcounts themselves. */
  async walkContent(): Promise<void> {
    const { clusterBytes, snapshots, extensions } = this.#header
    this.#mark(0, clusterBytes, USE.header)
    const luks = extensions.find(({ type }) => type === EXTENSION.luks)?.data
    if (luks?.length === 16) this.#mark(readU64(viewOf(luks), 0), readU64(viewOf(luks), 8), USE.encryption)
    const l1Tables = new Map<string, { place: TablePlace; times: number; isActive: boolean }>()
    const addL1 = (place: TablePlace, isActive: boolean): void => {
      const key = `${place.offset}+${place.entries}`
      const known = l1Tables.get(key)
      l1Tables.set(key, { place, times: (known?.times ?? 0) + 1, isActive: isActive || (known?.isActive ?? false) })
    }
    addL1(this.#header.l1, true)
    const entries = await readSnapshots(this.#file, this.#header)
    for (const { l1 } of entries) addL1(l1, false)
    if (entries.length > 0) this.#mark(snapshots.offset, entries.at(-1)?.endBytes ?? 0, USE.snapshots)
    const l2Tables = new Map<number, TableUse>()
    let total = 0
    for (const table of l1Tables.values()) {
      total += table.place.entries * 8
      if (total > MAX_L1_TOTAL_BYTES) throw overLimit('the L1 tables of the snapshots exceed 1 GiB')
      await this.#walkL1(table, l2Tables)
    }
    for (const [offset, { times, isActive }] of l2Tables) await this.#walkL2(offset, times, isActive)
    await this.#walkBitmaps()
  }

  async #walkL1(
    { place, times, isActive }: { place: TablePlace; times: number; isActive: boolean },
    l2Tables: Map<number, TableUse>,
  ): Promise<void> {
    const { offset, entries } = place
    if (entries === 0 || !this.#mark(offset, entries * 8, USE.l1, times)) return
    const view = viewOf(await readTableBytes(this.#file, offset, entries * 8, 'an L1 table', true))
    for (let index = 0; index < entries; index++) {
      const high = view.getUint32(index * 8)
      const low = view.getUint32(index * 8 + 4)
      if (high === 0 && low === 0) continue
      const l2 = (high & OFFSET_HIGH_MASK) * WORD + ((low & OFFSET_LOW_MASK) >>> 0)
      if ((high & 0x7f000000) !== 0 || (low & 0x1ff) !== 0)
        this.#report({ kind: 'entry', message: `L1 entry ${index} has reserved bits`, offset: offset + index * 8 })
      if (l2 === 0 || !this.#isAligned(l2, 'an L2 table')) continue
      if (isActive) this.#onCopied({ cluster: l2 / this.#format.clusterBytes, isSet: (high & COPIED_HIGH) !== 0 })
      if (!this.#mark(l2, this.#format.clusterBytes, USE.l2, times)) continue
      addUse(l2Tables, l2, times, isActive)
    }
  }

  async #walkL2(offset: number, times: number, isActive: boolean): Promise<void> {
    const { clusterBytes, entryBytes } = this.#format
    const view = viewOf(await readTableBytes(this.#file, offset, clusterBytes, 'an L2 table', true))
    for (let at = 0; at < clusterBytes; at += entryBytes) {
      const high = view.getUint32(at)
      const low = view.getUint32(at + 4)
      if (high === 0 && low === 0 && entryBytes === 8) continue
      if ((high & COMPRESSED_HIGH) !== 0) this.#walkCompressed(offset + at, high, low, times, isActive)
      else
        this.#walkStandard(
          offset + at,
          high,
          low,
          times,
          isActive,
          entryBytes === 16 ? view.getUint32(at + 12) & view.getUint32(at + 8) : 0,
        )
    }
  }

  #walkCompressed(at: number, high: number, low: number, times: number, isActive: boolean): void {
    const { host, storedBytes } = compressedPlace(high, low, this.#format.clusterBits)
    if ((high & COPIED_HIGH) !== 0)
      this.#report({ kind: 'copied', message: 'a compressed cluster is marked as copied', offset: at })
    const { clusterBytes } = this.#format
    const start = host - (host % 512)
    const end = Math.ceil((host + storedBytes) / 512) * 512
    if (host >= this.#file.sizeBytes) {
      this.#report({ kind: 'past-end', message: 'a compressed cluster is past the end of the file', offset: host })
      return
    }
    for (let cluster = Math.floor(start / clusterBytes); cluster * clusterBytes < end; cluster++)
      this.#count(cluster, USE.data, times)
    if (isActive) this.compressedClusters++
  }

  #walkStandard(at: number, high: number, low: number, times: number, isActive: boolean, contradiction: number): void {
    const { clusterBytes, entryBytes } = this.#format
    const host = (high & OFFSET_HIGH_MASK) * WORD + ((low & OFFSET_LOW_MASK) >>> 0)
    if (this.#header.hasDataFile) return this.#tallyData(isActive && host !== 0)
    if ((high & 0x3f000000) !== 0 || (low & (entryBytes === 16 ? 0x1ff : 0x1fe)) !== 0 || contradiction !== 0)
      this.#report({ kind: 'entry', message: 'an L2 entry has reserved or contradicting bits', offset: at })
    if (host === 0 || !this.#isAligned(host, 'a cluster')) return
    if (isActive) this.#onCopied({ cluster: host / clusterBytes, isSet: (high & COPIED_HIGH) !== 0 })
    this.#tallyData(isActive)
    const isReadAsZero = entryBytes === 8 && (low & 1) !== 0
    if (host >= this.#file.sizeBytes && !isReadAsZero)
      this.#report({ kind: 'past-end', message: 'a cluster is past the end of the file', offset: host })
    this.#count(host / clusterBytes, USE.data, times)
  }

  #tallyData(isActive: boolean): void {
    if (isActive) this.dataClusters++
  }

  async #walkBitmaps(): Promise<void> {
    const { bitmaps, clusterBytes } = this.#header
    if (bitmaps === undefined) return
    this.#mark(bitmaps.offset, bitmaps.lengthBytes, USE.bitmaps)
    for (const { table } of await readBitmaps(this.#file, this.#header)) {
      if (!this.#mark(table.offset, table.entries * 8, USE.bitmaps)) continue
      const view = viewOf(await readTableBytes(this.#file, table.offset, table.entries * 8, 'a bitmap table', true))
      for (let at = 0; at < view.byteLength; at += 8) {
        const host = (view.getUint32(at) & OFFSET_HIGH_MASK) * WORD + ((view.getUint32(at + 4) & OFFSET_LOW_MASK) >>> 0)
        if (host !== 0 && this.#isAligned(host, 'a bitmap')) this.#mark(host, clusterBytes, USE.bitmaps)
      }
    }
  }

  /** Counts the refcount table and its blocks. @returns the host offsets of the blocks, 0 where there is none that can be read */
  async walkRefcounts(): Promise<Float64Array> {
    const { refcounts, clusterBytes } = this.#header
    if (!this.#mark(refcounts.offset, refcounts.clusters * clusterBytes, USE.refcounts)) return new Float64Array()
    const table = await readRefcountTable(this.#file, refcounts, clusterBytes, true)
    for (const [index, block] of table.entries()) {
      if (block === 0) continue
      if (!this.#isAligned(block, 'a refcount block') || !this.#mark(block, clusterBytes, USE.refcounts))
        table[index] = 0
    }
    return table
  }

  #isAligned(offset: number, what: string): boolean {
    if (offset % this.#format.clusterBytes === 0) return true
    this.#report({ kind: 'unaligned', message: `${what} stands at an unaligned offset`, offset })
    return false
  }

  /** Counts the clusters of a range. @returns false when it is past the end of the file */
  #mark(offset: number, length: number, use: Use, times = 1): boolean {
    const { clusterBytes } = this.#format
    if (offset + length > Math.ceil(this.#file.sizeBytes / clusterBytes) * clusterBytes) {
      this.#report({ kind: 'past-end', message: `metadata of ${length} bytes is past the end of the file`, offset })
      return false
    }
    for (let at = Math.floor(offset / clusterBytes); at * clusterBytes < offset + length; at++)
      this.#count(at, use, times)
    return true
  }

  #count(cluster: number, use: Use, times: number): void {
    if (this.counts.add(cluster, use, times)) return
    this.#report({
      kind: 'overlap',
      message: 'a cluster is used as two things',
      offset: cluster * this.#format.clusterBytes,
    })
  }
}
