/** How large an image will be, before it is made. @module */
import type { Extent } from '@granary/core'

export interface MeasureQcow2Options {
  /** Virtual size, bytes. */
  readonly sizeBytes: number
  /** What the disk holds; without it, it counts as empty. */
  readonly extents?: AsyncIterable<Extent>
  /** @default 65536 */
  readonly clusterBytes?: number
  /** @default 16 */
  readonly refcountBits?: number
  readonly extendedL2?: boolean
}

export interface Qcow2Measure {
  /** File size for what the disk holds now, uncompressed, bytes. */
  readonly requiredBytes: number
  /** File size when every cluster is used, bytes. */
  readonly fullyAllocatedBytes: number
}

/** Works out what `qemu-img measure -O qcow2` works out. */
export const measureQcow2 = async ({
  sizeBytes,
  extents,
  clusterBytes = 65_536,
  refcountBits = 16,
  extendedL2 = false,
}: MeasureQcow2Options): Promise<Qcow2Measure> => {
  const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit
  const diskBytes = roundUp(sizeBytes, clusterBytes)
  const entryBytes = extendedL2 ? 16 : 8
  const l2Entries = roundUp(diskBytes / clusterBytes, clusterBytes / entryBytes)
  const l1Entries = roundUp((l2Entries * entryBytes) / clusterBytes, clusterBytes / 8)
  const tableBytes = clusterBytes + l2Entries * entryBytes + l1Entries * 8
  const refcountBytes =
    refcountClusters((tableBytes + diskBytes) / clusterBytes, clusterBytes, refcountBits) * clusterBytes
  const fullyAllocatedBytes = tableBytes + refcountBytes + diskBytes
  const dataBytes = (await countClusters(extents, clusterBytes)) * clusterBytes
  return { fullyAllocatedBytes, requiredBytes: fullyAllocatedBytes - diskBytes + dataBytes }
}

/** Refcount table and blocks, which count themselves too. */
const refcountClusters = (clusters: number, clusterBytes: number, refcountBits: number): number => {
  let blocks = 0
  let table = 0
  for (let last = -1; last !== blocks + table;) {
    last = blocks + table
    blocks = Math.ceil((clusters + last) / ((clusterBytes * 8) / refcountBits))
    table = Math.ceil(blocks / (clusterBytes / 8))
  }
  return blocks + table
}

/** Clusters that any data touches. */
const countClusters = async (extents: AsyncIterable<Extent> | undefined, clusterBytes: number): Promise<number> => {
  let count = 0
  let counted = -1
  for await (const { kind, offset, length } of extents ?? []) {
    if (kind !== 'data' || length === 0) continue
    const first = Math.max(counted + 1, Math.floor(offset / clusterBytes))
    const last = Math.floor((offset + length - 1) / clusterBytes)
    count += Math.max(0, last - first + 1)
    counted = Math.max(counted, last)
  }
  return count
}
