/** What every part of a simulated disk counts in. @module */

/** Clusters of cow volumes, granularity of dirty bitmaps and of scratch disks, bytes: QEMU's default for all three. */
export const CLUSTER_BYTES = 65_536

/** A range of clusters: `first` up to, not including, `end`. */
export interface ClusterRange {
  readonly first: number
  readonly end: number
}

/** How many clusters a disk has; the last may be short. */
export const clusterCount = (sizeBytes: number): number => Math.ceil(sizeBytes / CLUSTER_BYTES)

/** The clusters that a range of bytes touches. */
export const clustersOf = (offset: number, length: number): ClusterRange =>
  length === 0
    ? { first: 0, end: 0 }
    : { first: Math.floor(offset / CLUSTER_BYTES), end: Math.ceil((offset + length) / CLUSTER_BYTES) }

/** The clusters that lie wholly in a range of bytes; a short last cluster of the disk counts as whole. */
export const wholeClustersOf = (offset: number, length: number, sizeBytes: number): ClusterRange => {
  const first = Math.ceil(offset / CLUSTER_BYTES)
  const end = offset + length === sizeBytes ? clusterCount(sizeBytes) : Math.floor((offset + length) / CLUSTER_BYTES)
  return { first, end: Math.max(first, end) }
}

/** A map of one byte a cluster for another size of disk: what is new is `fill`. */
export const resizedMap = (map: Uint8Array, sizeBytes: number, fill = 0): Uint8Array => {
  const resized = new Uint8Array(clusterCount(sizeBytes)).fill(fill)
  resized.set(map.subarray(0, resized.length))
  return resized
}
