/**
 * Chains of clusters, for FAT and exFAT: a table tells of each cluster which is next.
 *
 * @module
 */
import type { AbortOptions, DiskReader } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import type { Piece } from '../../disk/mapped-disk.ts'
import { corrupt } from '../../errors.ts'

/** Where clusters lie. The first has number 2. */
export interface ClusterHeap {
  readonly disk: CachedDisk
  /** Of cluster 2, bytes. */
  readonly offset: number
  readonly clusterBytes: number
  readonly clusters: number
  /** What the table says of a cluster: the next, or undefined at the end of a chain. */
  next(cluster: number, where: string, options: AbortOptions): Promise<number | undefined>
}

/** Clusters in a row. */
export interface ClusterRun {
  readonly cluster: number
  readonly count: number
}

/** A place in every so many clusters of a long chain is kept, so that reading at random needn't begin at its start. */
const CHECKPOINT_CLUSTERS = 512

/** Longest run that is looked for at once. */
const MAX_RUN_CLUSTERS = 4096

export const clusterOffset = (heap: ClusterHeap, cluster: number, where: string): number => {
  if (cluster < 2 || cluster >= heap.clusters + 2)
    throw corrupt(where, `a cluster of 2 to ${heap.clusters + 1}`, cluster)
  return heap.offset + (cluster - 2) * heap.clusterBytes
}

/**
 * Walks a chain and remembers the way. A chain that comes back to where it was is found by comparing each cluster
 * with one met at the last power of two (Brent's method): it can't be longer than the volume without that.
 */
export class ClusterChain {
  readonly #heap: ClusterHeap
  readonly #where: string
  /** Cluster at each multiple of CHECKPOINT_CLUSTERS, as far as the walk came. */
  readonly #checkpoints: number[]
  #position: { index: number; cluster: number }
  #furthest = 0
  #anchor: { index: number; cluster: number }

  constructor(heap: ClusterHeap, first: number, where: string) {
    this.#heap = heap
    this.#where = where
    this.#checkpoints = [first]
    this.#position = { index: 0, cluster: first }
    this.#anchor = { index: 0, cluster: first }
  }

  /** The run that begins with the cluster of that index, or undefined when the chain is shorter. */
  async runAt(index: number, options: AbortOptions): Promise<ClusterRun | undefined> {
    if (index < this.#position.index) {
      const checkpoint = Math.min(Math.floor(index / CHECKPOINT_CLUSTERS), this.#checkpoints.length - 1)
      this.#position = { index: checkpoint * CHECKPOINT_CLUSTERS, cluster: this.#checkpoints[checkpoint] as number }
    }
    while (this.#position.index < index) if (!(await this.#step(options))) return undefined
    const { cluster } = this.#position
    clusterOffset(this.#heap, cluster, this.#where)
    let count = 1
    while (count < MAX_RUN_CLUSTERS && (await this.#step(options))) {
      if (this.#position.cluster !== cluster + count) break
      count++
    }
    return { cluster, count }
  }

  async #step(options: AbortOptions): Promise<boolean> {
    const { index, cluster } = this.#position
    clusterOffset(this.#heap, cluster, this.#where)
    const next = await this.#heap.next(cluster, this.#where, options)
    if (next === undefined) return false
    this.#position = { index: index + 1, cluster: next }
    if (index + 1 > this.#furthest) this.#extend(index + 1, next)
    return true
  }

  #extend(index: number, cluster: number): void {
    this.#furthest = index
    if (cluster === this.#anchor.cluster)
      throw corrupt(this.#where, 'a chain that ends', `a loop at cluster ${cluster}`)
    if (index >= 2 * this.#anchor.index) this.#anchor = { index, cluster }
    if (index % CHECKPOINT_CLUSTERS === 0) this.#checkpoints.push(cluster)
  }
}

export interface ChainContent {
  readonly heap: ClusterHeap
  readonly firstCluster: number
  readonly sizeBytes: number
  /** What lies behind reads as zeros. @default all is valid */
  readonly validBytes?: number
  /** The clusters follow each other, and the table isn't asked. @default false */
  readonly isContiguous?: boolean
  readonly where: string
}

/** The content of a file as a disk. */
export const chainContent = ({ heap, firstCluster, sizeBytes, ...options }: ChainContent): DiskReader => {
  const { validBytes = sizeBytes, isContiguous = false, where } = options
  const { clusterBytes, disk } = heap
  if (sizeBytes > heap.clusters * clusterBytes)
    throw corrupt(where, `at most ${heap.clusters * clusterBytes} bytes`, sizeBytes)
  const chain = new ClusterChain(heap, firstCluster, where)
  const runAt = async (index: number, abort: AbortOptions): Promise<ClusterRun | undefined> => {
    if (!isContiguous) return await chain.runAt(index, abort)
    clusterOffset(heap, firstCluster, where)
    clusterOffset(heap, firstCluster + Math.ceil(sizeBytes / clusterBytes) - 1, where)
    return { cluster: firstCluster + index, count: Math.ceil(sizeBytes / clusterBytes) - index }
  }
  return mappedDisk({
    sizeBytes,
    blockBytes: clusterBytes,
    asksBelow: false,
    where,
    async locate(offset, abort): Promise<Piece> {
      if (offset >= validBytes) return { kind: 'zero', length: sizeBytes - offset }
      const index = Math.floor(offset / clusterBytes)
      const skip = offset - index * clusterBytes
      const run = await runAt(index, abort)
      if (run === undefined) {
        const reason = (): Error => corrupt(where, `${sizeBytes} bytes`, `the end of its chain after ${index} clusters`)
        return { kind: 'missing', length: sizeBytes - offset, reason }
      }
      const length = Math.min(run.count * clusterBytes - skip, validBytes - offset)
      return { kind: 'disk', length, disk, offset: clusterOffset(heap, run.cluster, where) + skip }
    },
  })
}
