/**
 * Stores one disk: windows go to the pool, leaves come back in order, the map is built on them.
 *
 * @see docs/architecture.md, "The data path of a backup"
 * @module
 */
import type { AbortOptions, Bottleneck, DiskReader } from '@granary/core'
import { mapOrdered } from '@granary/core'
import { isSameChunker } from '@granary/chunker'
import type { ChunkerParameters } from '@granary/chunker'
import type { NodeReference } from '../map/map-nodes.ts'
import { MapWriter } from '../map/map-writer.ts'
import type { NodeStore } from '../map/node-store.ts'
import { textOfNode } from '../sessions/manifest.ts'
import type { DiskRecord, DiskStats } from '../sessions/manifest.ts'
import { createBottleneckMeter } from './bottleneck.ts'
import type { BottleneckMeter } from './bottleneck.ts'
import { isReader } from './disk-input.ts'
import type { OpenedInput } from './disk-input.ts'
import type { DiskParent } from './disk-parent.ts'
import { windowsOfDisk, windowsOfStream } from './disk-windows.ts'
import type { DiskWindow } from './disk-windows.ts'
import { BatchBuffers } from './read-ahead.ts'
import { storeWindow } from './store-window.ts'
import type { WindowContext } from './store-window.ts'
import type { WindowStats } from './window-job.ts'
import type { WindowPool } from './window-pool.ts'

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
  const nodes: WindowContext['nodes'] = {
    store: async plain => await allNodes.store(plain, bytes => (stats.storedBytes += bytes)),
  }
  const leaves: { window: number; leaf: NodeReference }[] = []
  let doneBytes = 0
  const meter = createBottleneckMeter()
  const context: WindowContext = { pool, nodes, input, parent: base, buffers: new BatchBuffers() }

  const store = async (
    window: DiskWindow,
    windowSignal: AbortSignal,
  ): Promise<{ window: number; leaf: NodeReference }> => {
    const { leaf, stats: added, times } = await storeWindow(context, window, windowSignal)
    doneBytes += window.length
    if (added !== undefined) addStats(stats, added)
    if (times !== undefined) meter.add(times)
    onProgress?.({ ...stats, disk: input.name, doneBytes, totalBytes, ...limitOf(meter) })
    return { window: window.window, leaf }
  }
  const windows = isReader(disk) ? windowsOfDisk(disk, { signal }) : windowsOfStream(disk, { signal })
  // One more window of a disk than there are workers: its first bytes are there when a worker is. Of a stream each takes 32 MiB.
  const concurrency = isReader(disk) ? pool.size + 1 : pool.size
  for await (const stored of mapOrdered(windows, store, { concurrency, signal })) {
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
