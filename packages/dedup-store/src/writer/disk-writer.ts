/**
 * Stores one disk: windows go to the pool, leaves come back in order, the map is built on them.
 *
 * @see docs/architecture.md, "The data path of a backup"
 * @module
 */
import type { AbortOptions, Bottleneck, Bytes, DiskReader, DiskStream } from '@granary/core'
import { mapOrdered } from '@granary/core'
import { isSameChunker } from '@granary/chunker'
import type { ChunkerParameters } from '@granary/chunker'
import { windowOffset } from '../map/map-reader.ts'
import type { MapReader } from '../map/map-reader.ts'
import { MapWriter } from '../map/map-writer.ts'
import type { NodeReference } from '../map/map-nodes.ts'
import type { NodeStore } from '../map/node-store.ts'
import { textOfNode } from '../sessions/manifest.ts'
import type { DiskRecord, DiskStats } from '../sessions/manifest.ts'
import { readGathered, windowsOfDisk, windowsOfStream } from './disk-windows.ts'
import type { DiskWindow } from './disk-windows.ts'
import { LeafBuilder } from './leaf-builder.ts'
import { createBottleneckMeter } from './bottleneck.ts'
import type { BottleneckMeter } from './bottleneck.ts'
import type { WindowStats, WindowTimes } from './window-job.ts'
import type { WindowPool } from './window-pool.ts'

/** Opens a disk when its turn has come; it is closed as soon as it is stored. Undefined leaves it out of the snapshot. */
export type OpenDiskInput = (options: AbortOptions) => Promise<DiskReader | DiskStream | undefined>

/** What is to be stored. */
export interface DiskInput {
  readonly name: string
  /** Where it came from, for people. */
  readonly source: string
  readonly disk: DiskReader | DiskStream | OpenDiskInput
  /**
   * Name of the disk in the parent snapshot that this is a later state of; null when it is none's. The disk's extents must say
   * `dirty` against that snapshot and no other. @default name
   */
  readonly base?: string | null
  /** A descriptor of this process that holds the disk as it is: workers then read it themselves. */
  readonly fileDescriptor?: number
}

/** The disk as it was: what did not change since then is taken over from its map. */
export interface DiskParent {
  readonly record: DiskRecord
  readonly reader: MapReader
  /** False where something that a window refers to must be stored again: its map and chunks are not taken over then. */
  isWhole(window: number, options: AbortOptions): Promise<boolean>
  /** The bytes of a window's leaf, or what all of it is. */
  leaf(window: number, options: AbortOptions): Promise<Bytes | 'zero' | 'hole'>
}

/** How far a disk has come, bytes. */
export interface DiskProgress extends DiskStats {
  readonly disk: string
  readonly doneBytes: number
  /** Undefined for a stream. */
  readonly totalBytes: number | undefined
  /** The stage the others wait for, where that is known. */
  readonly limitedBy?: Bottleneck
}

export interface StoreDiskOptions extends AbortOptions {
  readonly chunker: ChunkerParameters
  readonly parent?: DiskParent | undefined
  readonly onProgress?: ((progress: DiskProgress) => void) | undefined
}

/** An input whose disk is open. */
export interface OpenedInput extends DiskInput {
  readonly disk: DiskReader | DiskStream
}

/** Opens what waits for its turn, and closes that again; what was open stays so. Undefined for a disk that is left out. */
export const withDisk = async <Result>(
  input: DiskInput,
  work: (opened: OpenedInput) => Promise<Result>,
  options: AbortOptions,
): Promise<Result | undefined> => {
  const { disk } = input
  if (typeof disk !== 'function') return await work({ ...input, disk })
  await using opened = await disk(options)
  return opened === undefined ? undefined : await work({ ...input, disk: opened })
}

type Nodes = Pick<NodeStore, 'store'>

const isReader = (disk: DiskReader | DiskStream): disk is DiskReader => 'extents' in disk

/** Stores a disk and gives back its record. Nothing counts before the session commits. */
export const storeDisk = async (
  { pool, nodes: allNodes }: { pool: WindowPool; nodes: NodeStore },
  input: OpenedInput,
  { chunker, parent, onProgress, signal }: StoreDiskOptions,
): Promise<DiskRecord> => {
  const { disk } = input
  const base = parent !== undefined && isReader(disk) && isUsable(parent, disk, chunker) ? parent : undefined
  const stats = { readBytes: 0, dataBytes: 0, newBytes: 0, storedBytes: 0, chunks: 0, newChunks: 0 }
  const totalBytes = isReader(disk) ? disk.sizeBytes : undefined
  // Other disks may be stored at the same time: each counts its own nodes.
  const nodes: Nodes = {
    store: async plain => await allNodes.store(plain, bytes => (stats.storedBytes += bytes)),
  }
  const leaves: { window: number; leaf: NodeReference }[] = []
  let doneBytes = 0
  const meter = createBottleneckMeter()

  const store = async (
    window: DiskWindow,
    windowSignal: AbortSignal,
  ): Promise<{ window: number; leaf: NodeReference }> => {
    const { leaf, stats: added, times } = await storeWindow({ pool, nodes, input, parent: base }, window, windowSignal)
    doneBytes += window.length
    if (added !== undefined) addStats(stats, added)
    if (times !== undefined) meter.add(times)
    onProgress?.({ ...stats, disk: input.name, doneBytes, totalBytes, ...limitOf(meter) })
    return { window: window.window, leaf }
  }
  const windows = isReader(disk) ? windowsOfDisk(disk, { signal }) : windowsOfStream(disk, { signal })
  for await (const stored of mapOrdered(windows, store, { concurrency: pool.size, signal })) {
    if (stored.leaf.kind !== 'hole') leaves.push(stored)
  }

  const sizeBytes = isReader(disk) ? disk.sizeBytes : doneBytes
  const map = new MapWriter(sizeBytes)
  for (const { window, leaf } of leaves) map.setLeaf(window, leaf)
  const { height, root } = await map.finish(plain => nodes.store(plain))
  return { name: input.name, sizeBytes, map: { height, root: textOfNode(root) }, chunker, source: input.source, stats }
}

/** Only with the same chunker do windows that didn't change have the same leaves. */
const isUsable = ({ record }: DiskParent, disk: DiskReader, chunker: ChunkerParameters): boolean =>
  record.sizeBytes === disk.sizeBytes && isSameChunker(record.chunker, chunker)

const storeWindow = async (
  {
    pool,
    nodes,
    input,
    parent,
  }: { pool: WindowPool; nodes: Nodes; input: OpenedInput; parent: DiskParent | undefined },
  { window, length, ranges, isClean, changes, bytes }: DiskWindow,
  signal: AbortSignal,
): Promise<{ leaf: NodeReference; stats?: WindowStats; times?: WindowTimes }> => {
  const base = (await parent?.isWhole(window, { signal })) === true ? parent : undefined
  if (isClean && base !== undefined) return { leaf: await base.reader.leafReference(window, { signal }) }
  if (ranges.every(range => range.kind !== 'data')) return { leaf: await leafOfNothing(ranges, nodes) }
  const offset = windowOffset(window)
  const job = {
    offset,
    length,
    ranges,
    ...(base === undefined || changes === undefined
      ? {}
      : { parent: { leaf: await base.leaf(window, { signal }), changes } }),
    ...(input.fileDescriptor === undefined ? {} : { fileDescriptor: input.fileDescriptor }),
  }
  const result = await pool.store(job, async (at, target) => {
    if (bytes !== undefined) readGathered(bytes, at - offset, target)
    else await (input.disk as DiskReader).read(at, target, { signal })
  })
  signal.throwIfAborted()
  const leaf: NodeReference =
    typeof result.leaf === 'string' ? { kind: result.leaf } : { kind: 'node', id: await nodes.store(result.leaf) }
  return { leaf, stats: result.stats, times: result.times }
}

const leafOfNothing = async (ranges: DiskWindow['ranges'], nodes: Nodes): Promise<NodeReference> => {
  const builder = new LeafBuilder(ranges)
  builder.addZeros(ranges.reduce((sum, range) => sum + range.length, 0))
  const leaf = builder.finish()
  return typeof leaf === 'string' ? { kind: leaf } : { kind: 'node', id: await nodes.store(leaf) }
}

const limitOf = (meter: BottleneckMeter): { limitedBy?: Bottleneck } => {
  const limitedBy = meter.limitedBy()
  return limitedBy === undefined ? {} : { limitedBy }
}

const addStats = (sum: { -readonly [Key in keyof DiskStats]: number }, added: WindowStats): void => {
  sum.readBytes += added.readBytes
  sum.dataBytes += added.dataBytes
  sum.newBytes += added.newBytes
  sum.storedBytes += added.storedBytes
  sum.chunks += added.chunks
  sum.newChunks += added.newChunks
}
