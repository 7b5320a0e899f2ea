/** Checks the structure of an image, as `qemu-img check` does, and what that leaves out. @module */
import type { AbortOptions } from '@granary/core'
import { readTableBytes } from './cluster-map.ts'
import { readHeader } from './header.ts'
import type { Qcow2Header } from './header.ts'
import type { RandomFile } from './random-file.ts'
import { refcountAt } from './refcounts.ts'
import { ImageWalk } from './walk.ts'
import type { CopiedBit, Problem } from './walk.ts'

export interface Qcow2CheckReport {
  /** Set: refcounts are allowed to be wrong, and the next writer counts anew. */
  readonly isDirty: boolean
  /** Set by a writer that found damage. */
  readonly isCorrupt: boolean
  /** Everything but leaks. */
  readonly corruptions: number
  /** Clusters that are counted but not used. */
  readonly leaks: number
  readonly leakedBytes: number
  /** Clusters of the active disk: plain ones, and compressed ones. */
  readonly dataClusters: number
  readonly compressedClusters: number
  /** End of the last cluster that is counted, bytes. */
  readonly imageEndBytes: number
  /** The first of the problems. */
  readonly problems: readonly Problem[]
}

const MAX_PROBLEMS = 1000

/**
 * Checks refcounts, leaks, overlaps, flags, and that everything lies inside the file. Reads all tables, no data.
 *
 * @throws GranaryError when the image cannot even be opened, as `openQcow2`
 */
export const checkQcow2 = async (file: RandomFile, { signal }: AbortOptions = {}): Promise<Qcow2CheckReport> => {
  const header = await readHeader(file, true)
  const tally = new Tally()
  const copied: CopiedBit[] = []
  const walk = new ImageWalk(
    file,
    header,
    problem => tally.add(problem),
    bit => copied.push(bit),
  )
  await walk.walkContent()
  signal?.throwIfAborted()
  const blocks = await walk.walkRefcounts()
  const refcounts = new Refcounts(file, header, blocks)
  const endCluster = await compare(walk, refcounts, header, tally, signal)
  for (const { cluster, isSet } of copied) {
    if (isSet === ((await refcounts.get(cluster)) === 1)) continue
    const message = isSet ? 'a shared cluster is marked as copied' : 'a cluster of its own is not marked as copied'
    tally.add({ kind: 'copied', message, offset: cluster * header.clusterBytes })
  }
  return {
    isDirty: header.isDirty,
    isCorrupt: header.isCorrupt,
    ...tally.totals(header.clusterBytes),
    dataClusters: walk.dataClusters,
    compressedClusters: walk.compressedClusters,
    imageEndBytes: endCluster * header.clusterBytes,
  }
}

class Tally {
  readonly #problems: Problem[] = []
  #corruptions = 0
  #leaks = 0

  add(problem: Problem): void {
    if (problem.kind === 'leak') this.#leaks++
    else this.#corruptions++
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem)
  }

  totals(clusterBytes: number): Pick<Qcow2CheckReport, 'corruptions' | 'leaks' | 'leakedBytes' | 'problems'> {
    return {
      corruptions: this.#corruptions,
      leaks: this.#leaks,
      leakedBytes: this.#leaks * clusterBytes,
      problems: this.#problems,
    }
  }
}

/** The refcounts as they stand in the file, a block at a time. */
class Refcounts {
  readonly perBlock: number
  readonly #file: RandomFile
  readonly #header: Qcow2Header
  readonly #blocks: Float64Array
  readonly #loaded = new Map<number, Uint8Array>()

  constructor(file: RandomFile, header: Qcow2Header, blocks: Float64Array) {
    this.#file = file
    this.#header = header
    this.#blocks = blocks
    this.perBlock = (header.clusterBytes * 8) / 2 ** header.refcounts.order
  }

  get blockCount(): number {
    return this.#blocks.length
  }

  async block(index: number): Promise<Uint8Array | undefined> {
    const offset = this.#blocks[index] ?? 0
    if (offset === 0) return undefined
    const known = this.#loaded.get(index)
    if (known !== undefined) return known
    const bytes = await readTableBytes(this.#file, offset, this.#header.clusterBytes, 'a refcount block', true)
    if (this.#loaded.size >= 16) this.#loaded.delete(this.#loaded.keys().next().value as number)
    this.#loaded.set(index, bytes)
    return bytes
  }

  async get(cluster: number): Promise<number> {
    const block = await this.block(Math.floor(cluster / this.perBlock))
    return block === undefined ? 0 : refcountAt(block, cluster % this.perBlock, this.#header.refcounts.order)
  }
}

/** Compares what is counted with what is referred to. @returns the cluster after the last one that is counted */
const compare = async (
  walk: ImageWalk,
  refcounts: Refcounts,
  { clusterBytes, refcounts: { order } }: Qcow2Header,
  tally: Tally,
  signal: AbortSignal | undefined,
): Promise<number> => {
  let end = 0
  for (let index = 0; index < refcounts.blockCount; index++) {
    signal?.throwIfAborted()
    const block = await refcounts.block(index)
    if (block === undefined) continue
    for (let at = 0; at < refcounts.perBlock; at++) {
      const cluster = index * refcounts.perBlock + at
      const found = refcountAt(block, at, order)
      if (found > 0) end = cluster + 1
      if (found > walk.counts.get(cluster))
        tally.add({
          kind: 'leak',
          message: `refcount ${found}, references ${walk.counts.get(cluster)}`,
          offset: cluster * clusterBytes,
        })
    }
  }
  for (const [cluster, wanted] of walk.counts.entries()) {
    const found = await refcounts.get(cluster)
    if (found < wanted)
      tally.add({
        kind: 'refcount',
        message: `refcount ${found}, references ${wanted}`,
        offset: cluster * clusterBytes,
      })
  }
  return end
}
