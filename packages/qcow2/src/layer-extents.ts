/** What a layer knows of a range without reading it. @module */
import type { Extent } from '@granary/core'
import type { ClusterRun } from './cluster-runs.ts'
import { checkStored } from './layer.ts'
import type { Layer } from './layer.ts'

/** Extents of a range, joined where they continue each other. */
export async function* layerExtents(
  layer: Layer,
  offset: number,
  length: number,
  signal?: AbortSignal,
): AsyncGenerator<Extent, void, undefined> {
  yield* joined(separateExtents(layer, offset, offset + length, signal))
}

async function* separateExtents(
  layer: Layer,
  offset: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Extent, void, undefined> {
  for await (const runs of layer.map.runs(offset, end, signal)) {
    for (const run of runs) {
      if (run.kind === 'unallocated') yield* unallocatedExtents(layer, run, signal)
      else yield allocatedExtent(layer, run)
    }
  }
}

const allocatedExtent = (layer: Layer, run: ClusterRun): Extent => {
  const { offset, length, kind, host } = run
  if (kind === 'data') checkStored(layer.dataFile, run, layer.isLenient)
  return {
    offset,
    length,
    kind: kind === 'zero' ? 'zero' : 'data',
    depth: 0,
    present: true,
    compressed: kind === 'compressed',
    ...(host === undefined || kind === 'compressed' ? {} : { fileOffset: host }),
  }
}

/** The backing file where there is one, and past its end a hole. */
async function* unallocatedExtents(
  { backing }: Layer,
  { offset, length, host }: ClusterRun,
  signal?: AbortSignal,
): AsyncGenerator<Extent, void, undefined> {
  const shown = backing === undefined ? 0 : Math.max(0, Math.min(length, backing.sizeBytes - offset))
  if (backing !== undefined && shown > 0) {
    for await (const extent of backing.extents({ offset, length: shown, ...(signal === undefined ? {} : { signal }) }))
      yield { ...extent, depth: (extent.depth ?? 0) + 1 }
  }
  if (shown === length) return
  const fileOffset = host === undefined ? {} : { fileOffset: host + shown }
  yield {
    offset: offset + shown,
    length: length - shown,
    kind: 'hole',
    depth: 0,
    present: false,
    compressed: false,
    ...fileOffset,
  }
}

/** Joins extents that say the same and touch, in the disk and in the file. */
async function* joined(extents: AsyncIterable<Extent>): AsyncGenerator<Extent, void, undefined> {
  let last: Extent | undefined
  for await (const extent of extents) {
    if (last === undefined) last = extent
    else if (isContinued(last, extent)) last = { ...last, length: last.length + extent.length }
    else {
      yield last
      last = extent
    }
  }
  if (last !== undefined) yield last
}

const isContinued = (last: Extent, next: Extent): boolean =>
  last.kind === next.kind &&
  last.depth === next.depth &&
  last.present === next.present &&
  last.compressed === next.compressed &&
  last.dirty === next.dirty &&
  (last.fileOffset === undefined ? next.fileOffset === undefined : last.fileOffset + last.length === next.fileOffset)
