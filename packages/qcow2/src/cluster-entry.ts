/** One L2 entry, to be read and changed. @see QEMU docs/interop/qcow2.txt, sections "Cluster mapping" and "Extended L2 Entries" @module */
import { compressedPlace } from './cluster-runs.ts'
import type { EntryFormat } from './cluster-runs.ts'
import {
  COMPRESSED_HIGH,
  COPIED_HIGH,
  OFFSET_HIGH_MASK,
  OFFSET_LOW_MASK,
  SUBCLUSTERS,
  WORD,
  corrupt,
  writeU64,
} from './format.ts'

/** What an entry says. Bits of `alloc` and `zero` stand for subclusters, or, bit 0 alone, for the whole cluster. */
export interface ClusterEntry {
  readonly host: number | undefined
  /** Set when nobody else uses the cluster. */
  readonly isOwn: boolean
  readonly alloc: number
  readonly zero: number
  /** Only of compressed clusters. */
  readonly compressed: { readonly host: number; readonly storedBytes: number } | undefined
}

/** Parts of a cluster that can be allocated on their own. */
export const unitsOf = ({ entryBytes }: EntryFormat): number => (entryBytes === 16 ? SUBCLUSTERS : 1)

/** Bits `[from, to)`. */
export const unitMask = (from: number, to: number): number => {
  const below = (bits: number): number => (bits >= 32 ? 0xffffffff : 2 ** bits - 1)
  return (below(to) & ~below(from)) >>> 0
}

/** @throws GranaryError `GRANARY_CORRUPT` for an entry that must not be built upon */
export const readEntry = (format: EntryFormat, table: DataView, index: number): ClusterEntry => {
  const at = index * format.entryBytes
  const high = table.getUint32(at)
  const low = table.getUint32(at + 4)
  if ((high & COMPRESSED_HIGH) !== 0)
    return {
      host: undefined,
      isOwn: false,
      alloc: 0,
      zero: 0,
      compressed: compressedPlace(high, low, format.clusterBits),
    }
  const offset = (high & OFFSET_HIGH_MASK) * WORD + ((low & OFFSET_LOW_MASK) >>> 0)
  if (offset % format.clusterBytes !== 0)
    throw corrupt(`an L2 entry points to the unaligned offset ${offset}`, { offset })
  const host = offset === 0 ? undefined : offset
  const isExtended = format.entryBytes === 16
  const zero = isExtended ? table.getUint32(at + 8) : low & 1
  const alloc = isExtended ? table.getUint32(at + 12) : host === undefined || zero !== 0 ? 0 : 1
  if ((alloc & zero) !== 0 || (host === undefined && alloc !== 0))
    throw corrupt('contradicting subcluster bits in an L2 entry')
  return { host, isOwn: (high & COPIED_HIGH) !== 0, alloc, zero, compressed: undefined }
}

export const writeEntry = (
  format: EntryFormat,
  table: DataView,
  index: number,
  entry: { readonly host: number | undefined; readonly alloc: number; readonly zero: number },
): void => {
  const at = index * format.entryBytes
  writeU64(table, at, entry.host ?? 0)
  if (entry.host !== undefined) table.setUint32(at, (table.getUint32(at) | COPIED_HIGH) >>> 0)
  if (format.entryBytes === 16) {
    table.setUint32(at + 8, entry.zero)
    table.setUint32(at + 12, entry.alloc)
  } else if (entry.zero !== 0) table.setUint32(at + 4, (table.getUint32(at + 4) | 1) >>> 0)
}

/** Section "Compressed Clusters Descriptor". */
export const writeCompressedEntry = (
  format: EntryFormat,
  table: DataView,
  index: number,
  host: number,
  lengthBytes: number,
): void => {
  const at = index * format.entryBytes
  const highOffsetBits = 62 - (format.clusterBits - 8) - 32
  const sectors = Math.floor((host + lengthBytes - 1) / 512) - Math.floor(host / 512)
  const high = COMPRESSED_HIGH + sectors * 2 ** highOffsetBits + Math.floor(host / WORD)
  table.setUint32(at, high)
  table.setUint32(at + 4, host % WORD)
  if (format.entryBytes === 16) {
    table.setUint32(at + 8, 0)
    table.setUint32(at + 12, 0)
  }
}
