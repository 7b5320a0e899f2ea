/**
 * What an L2 table says of a range, as runs of clusters that need the same treatment.
 *
 * @see QEMU docs/interop/qcow2.txt, sections "Cluster mapping" and "Extended L2 Entries"
 * @module
 */
import {
  COMPRESSED_HIGH,
  COPIED_HIGH,
  OFFSET_HIGH_MASK,
  OFFSET_LOW_MASK,
  SUBCLUSTERS,
  WORD,
  corrupt,
} from './format.ts'
import type { Qcow2Header } from './header.ts'

/** `unallocated` shows the backing file, or zeros; `zero` hides it. */
export type RunKind = 'unallocated' | 'zero' | 'data' | 'compressed'

export interface ClusterRun {
  /** Guest offset, bytes. */
  readonly offset: number
  length: number
  readonly kind: RunKind
  /**
   * Host offset of the first byte of the run; undefined where no cluster is allocated.
   * `compressed`: where the compressed bytes of the whole cluster start.
   */
  readonly host: number | undefined
  /** `compressed`: most bytes the compressed cluster takes; its end is inside the last 512 of them. */
  readonly storedBytes: number
}

/** Collects runs, joining those that continue each other. */
export class RunList {
  readonly runs: ClusterRun[] = []

  add(offset: number, length: number, kind: RunKind, host: number | undefined): void {
    const last = this.runs[this.runs.length - 1]
    const isContinued =
      last !== undefined &&
      last.kind === kind &&
      kind !== 'compressed' &&
      (host === undefined ? last.host === undefined : last.host !== undefined && last.host + last.length === host)
    if (isContinued) last.length += length
    else this.runs.push({ offset, length, kind, host, storedBytes: 0 })
  }

  addCompressed(offset: number, length: number, host: number, storedBytes: number): void {
    this.runs.push({ offset, length, kind: 'compressed', host, storedBytes })
  }
}

/** What the decoding of entries depends on, worked out once an image. */
export interface EntryFormat {
  readonly clusterBits: number
  readonly clusterBytes: number
  /** 8, or 16 with extended L2 entries. */
  readonly entryBytes: number
  readonly isVersion2: boolean
  readonly hasDataFile: boolean
}

export const entryFormat = (header: Qcow2Header): EntryFormat => ({
  clusterBits: header.clusterBits,
  clusterBytes: header.clusterBytes,
  entryBytes: header.hasExtendedL2 ? 16 : 8,
  isVersion2: header.version === 2,
  hasDataFile: header.hasDataFile,
})

/** Where a compressed cluster stands. Section "Compressed Clusters Descriptor": x = 62 - (cluster_bits - 8) bits of offset, the rest counts sectors. */
export const compressedPlace = (
  high: number,
  low: number,
  clusterBits: number,
): { readonly host: number; readonly storedBytes: number } => {
  const highOffsetBits = 62 - (clusterBits - 8) - 32
  const sectors = ((high & 0x3fffffff) >>> highOffsetBits) + 1
  const host = (high & (2 ** highOffsetBits - 1)) * WORD + low
  return { host, storedBytes: sectors * 512 - (low & 511) }
}

/**
 * Decodes the L2 entries of `[offset, end)`.
 *
 * @param entries a part of the L2 table, whose first entry stands for the cluster at `firstOffset`
 * @throws GranaryError `GRANARY_CORRUPT` for entries that QEMU cannot read either
 */
export const decodeEntries = (
  format: EntryFormat,
  entries: DataView,
  firstOffset: number,
  offset: number,
  end: number,
  list: RunList,
): void => {
  const { clusterBytes, entryBytes } = format
  for (let at = offset; at < end;) {
    const clusterStart = at - (at % clusterBytes)
    const entryAt = ((clusterStart - firstOffset) / clusterBytes) * entryBytes
    const next = Math.min(clusterStart + clusterBytes, end)
    const high = entries.getUint32(entryAt)
    const low = entries.getUint32(entryAt + 4)
    if ((high & COMPRESSED_HIGH) !== 0) {
      if (format.hasDataFile)
        throw corrupt('a compressed cluster in an image with a data file', { offset: clusterStart })
      const { host, storedBytes } = compressedPlace(high, low, format.clusterBits)
      list.addCompressed(at, next - at, host, storedBytes)
    } else if (entryBytes === 16) {
      const bitmaps = { alloc: entries.getUint32(entryAt + 12), zero: entries.getUint32(entryAt + 8) }
      addSubclusters(format, list, clusterStart, at, next, hostOf(format, high, low, clusterStart), bitmaps)
    } else addCluster(format, list, clusterStart, at, next, high, low)
    at = next
  }
}

/** Host offset of a standard entry; undefined when there is none. */
const hostOf = (format: EntryFormat, high: number, low: number, clusterStart: number): number | undefined => {
  const host = (high & OFFSET_HIGH_MASK) * WORD + ((low & OFFSET_LOW_MASK) >>> 0)
  if (host % format.clusterBytes !== 0)
    throw corrupt(`the cluster of guest offset ${clusterStart} stands at the unaligned offset ${host}`, {
      offset: clusterStart,
      host,
    })
  if (host === 0 && !(format.hasDataFile && (high & COPIED_HIGH) !== 0)) return undefined
  if (format.hasDataFile && host !== clusterStart)
    throw corrupt(`the data file offset ${host} is not the guest offset ${clusterStart}`, {
      offset: clusterStart,
      host,
    })
  return host
}

const addCluster = (
  format: EntryFormat,
  list: RunList,
  clusterStart: number,
  at: number,
  next: number,
  high: number,
  low: number,
): void => {
  const isZero = (low & 1) !== 0
  if (isZero && format.isVersion2) throw corrupt('a zero cluster in an image of version 2', { offset: clusterStart })
  const host = high === 0 && low < 512 ? undefined : hostOf(format, high, low, clusterStart)
  const kind = isZero ? 'zero' : host === undefined ? 'unallocated' : 'data'
  list.add(at, next - at, kind, host === undefined ? undefined : host + at - clusterStart)
}

const addSubclusters = (
  format: EntryFormat,
  list: RunList,
  clusterStart: number,
  from: number,
  next: number,
  host: number | undefined,
  { alloc, zero }: { alloc: number; zero: number },
): void => {
  if ((alloc & zero) !== 0 || (host === undefined && alloc !== 0))
    throw corrupt(`contradicting subcluster bits at guest offset ${clusterStart}`, { offset: clusterStart })
  const subclusterBytes = format.clusterBytes / SUBCLUSTERS
  for (let at = from; at < next;) {
    const index = Math.floor((at - clusterStart) / subclusterBytes)
    const end = Math.min(clusterStart + (index + 1) * subclusterBytes, next)
    const bit = 1 << index
    const kind = (zero & bit) !== 0 ? 'zero' : (alloc & bit) !== 0 ? 'data' : 'unallocated'
    list.add(at, end - at, kind, host === undefined ? undefined : host + at - clusterStart)
    at = end
  }
}
