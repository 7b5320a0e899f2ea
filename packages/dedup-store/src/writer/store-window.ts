/** Stores one window of a disk: what did not change is taken over, what is nothing is not read, the rest goes to a worker. @module */
import type { Bytes, DiskReader } from '@granary/core'
import type { NodeReference } from '../map/map-nodes.ts'
import { windowOffset } from '../map/map-reader.ts'
import type { NodeStore } from '../map/node-store.ts'
import { isReader } from './disk-input.ts'
import type { OpenedInput } from './disk-input.ts'
import type { DiskParent } from './disk-parent.ts'
import { readGathered } from './disk-windows.ts'
import type { DiskWindow } from './disk-windows.ts'
import { LeafBuilder } from './leaf-builder.ts'
import { readAhead } from './read-ahead.ts'
import type { BatchBuffers, WindowReads } from './read-ahead.ts'
import type { WindowJob, WindowStats, WindowTimes } from './window-job.ts'
import type { WindowPool } from './window-pool.ts'

/** What all windows of a disk share. */
export interface WindowContext {
  readonly pool: WindowPool
  readonly nodes: Pick<NodeStore, 'store'>
  readonly input: OpenedInput
  readonly parent: DiskParent | undefined
  readonly buffers: BatchBuffers
}

/** A window's place in the map. */
export const storeWindow = async (
  { pool, nodes, input, parent, buffers }: WindowContext,
  { window, length, ranges, isClean, changes, bytes }: DiskWindow,
  signal: AbortSignal,
): Promise<{ leaf: NodeReference; stats?: WindowStats; times?: WindowTimes }> => {
  const base = (await parent?.isWhole(window, { signal })) === true ? parent : undefined
  if (isClean && base !== undefined) return { leaf: await base.reader.leafReference(window, { signal }) }
  if (ranges.every(range => range.kind !== 'data')) return { leaf: await leafOfNothing(ranges, nodes) }
  const offset = windowOffset(window)
  const job: WindowJob = {
    offset,
    length,
    ranges,
    ...(base === undefined || changes === undefined
      ? {}
      : { parent: { leaf: await base.leaf(window, { signal }), changes } }),
    ...(input.fileDescriptor === undefined ? {} : { fileDescriptor: input.fileDescriptor }),
  }
  await using reads = readsOf(input, { job, bytes, buffers, signal })
  const result = await pool.store(job, async (at, target) => await reads.read(at, target))
  signal.throwIfAborted()
  const leaf: NodeReference =
    typeof result.leaf === 'string' ? { kind: result.leaf } : { kind: 'node', id: await nodes.store(result.leaf) }
  return { leaf, stats: result.stats, times: result.times }
}

interface ReadsOptions {
  readonly job: WindowJob
  readonly bytes: readonly Bytes[] | undefined
  readonly buffers: BatchBuffers
  readonly signal: AbortSignal
}

/** Where a window's bytes come from when its worker asks. Only a window that is read as a whole is read in order. */
const readsOf = ({ disk }: OpenedInput, { job, bytes, buffers, signal }: ReadsOptions): WindowReads => {
  if (isReader(disk) && job.fileDescriptor === undefined && job.parent === undefined)
    return readAhead(disk, job, { buffers, signal })
  return {
    async read(at, target) {
      if (bytes !== undefined) readGathered(bytes, at - job.offset, target)
      else await (disk as DiskReader).read(at, target, { signal })
    },
    async [Symbol.asyncDispose]() {},
  }
}

const leafOfNothing = async (ranges: DiskWindow['ranges'], nodes: WindowContext['nodes']): Promise<NodeReference> => {
  const builder = new LeafBuilder(ranges)
  builder.addZeros(ranges.reduce((sum, range) => sum + range.length, 0))
  const leaf = builder.finish()
  return typeof leaf === 'string' ? { kind: leaf } : { kind: 'node', id: await nodes.store(leaf) }
}
