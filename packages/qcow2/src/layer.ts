/** One image of a chain, over its backing: what reading and listing need. @module */
import type { Bytes, DiskReader } from '@granary/core'
import type { BoundedCache } from './bounded-cache.ts'
import type { ClusterMap } from './cluster-map.ts'
import type { ClusterRun } from './cluster-runs.ts'
import type { Decompressor } from './decompress.ts'
import { corrupt } from './format.ts'
import type { RandomFile } from './random-file.ts'

export interface Layer {
  readonly sizeBytes: number
  readonly clusterBytes: number
  /** Where plain clusters stand: the image itself, or its data file. */
  readonly dataFile: RandomFile
  /** Where compressed clusters stand. */
  readonly imageFile: RandomFile
  readonly map: ClusterMap
  readonly backing: DiskReader | undefined
  readonly isLenient: boolean
  readonly decompress: Decompressor
  /** Whole compressed clusters side by side, where there are workers for it. */
  readonly pooled?: ReadCompressed | undefined
  /** Whole clusters of which only a part was asked for. */
  readonly clusters: BoundedCache<Bytes>
}

/** A whole compressed cluster and where it goes. */
export interface CompressedPiece {
  readonly run: ClusterRun
  readonly target: Bytes
}

/** Reads many whole compressed clusters at once. */
export interface ReadCompressed {
  /** True when so many clusters are better read this way. */
  isWorthIt(count: number): boolean
  /** Cuts what is to be read into groups, each for one call of `read`. */
  group(pieces: readonly CompressedPiece[]): CompressedPiece[][]
  read(pieces: readonly CompressedPiece[]): Promise<void>
}

/** Pieces of one read that are under way at once. */
const PIECES_IN_FLIGHT = 16

/** Fills `target` with the content of the layer at `offset`. */
export const readLayer = async (layer: Layer, offset: number, target: Bytes, signal?: AbortSignal): Promise<void> => {
  for await (const runs of layer.map.runs(offset, offset + target.length, signal)) {
    const targetOf = (run: ClusterRun): Bytes => target.subarray(run.offset - offset, run.offset - offset + run.length)
    const tasks = planReads(layer, runs, targetOf, signal)
    await inParallel(tasks, PIECES_IN_FLIGHT, async task => {
      signal?.throwIfAborted()
      await task()
    })
  }
}

const planReads = (
  layer: Layer,
  runs: readonly ClusterRun[],
  targetOf: (run: ClusterRun) => Bytes,
  signal: AbortSignal | undefined,
): (() => Promise<void>)[] => {
  const { pooled, clusterBytes } = layer
  const isWhole = (run: ClusterRun): boolean => run.kind === 'compressed' && run.length === clusterBytes
  const isPooled = pooled?.isWorthIt(runs.filter(isWhole).length) === true
  const single = isPooled ? runs.filter(run => !isWhole(run)) : runs
  const tasks = single.map(run => () => readRun(layer, run, targetOf(run), signal))
  if (!isPooled) return tasks
  const pieces = runs.filter(isWhole).map(run => ({ run, target: targetOf(run) }))
  return [...pooled.group(pieces).map(group => () => pooled.read(group)), ...tasks]
}

const readRun = async (layer: Layer, run: ClusterRun, target: Bytes, signal?: AbortSignal): Promise<void> => {
  switch (run.kind) {
    case 'zero':
      target.fill(0)
      return
    case 'unallocated':
      return await readBacking(layer.backing, run.offset, target, signal)
    case 'data':
      return await readData(layer, run, target)
    case 'compressed':
      return await readCompressed(layer, run, target)
  }
}

/** Past the end of a shorter backing file there are zeros. */
const readBacking = async (
  backing: DiskReader | undefined,
  offset: number,
  target: Bytes,
  signal?: AbortSignal,
): Promise<void> => {
  const shown = backing === undefined ? 0 : Math.max(0, Math.min(target.length, backing.sizeBytes - offset))
  target.fill(0, shown)
  if (shown > 0) await backing?.read(offset, target.subarray(0, shown), { signal })
}

const readData = async ({ dataFile, isLenient }: Layer, run: ClusterRun, target: Bytes): Promise<void> => {
  const host = run.host as number
  checkStored(dataFile, run, isLenient)
  const stored = Math.max(0, Math.min(target.length, dataFile.sizeBytes - host))
  target.fill(0, stored)
  if (stored > 0) await dataFile.read(host, target.subarray(0, stored))
}

/** @throws GranaryError `GRANARY_CORRUPT` when a run of data reaches past the end of its file */
export const checkStored = (dataFile: RandomFile, run: ClusterRun, isLenient: boolean): void => {
  const end = (run.host as number) + run.length
  if (end <= dataFile.sizeBytes || isLenient) return
  throw corrupt(
    `the data of guest offset ${run.offset} reaches to ${end}, past the end of the file of ${dataFile.sizeBytes} bytes`,
    {
      offset: run.offset,
      end,
      sizeBytes: dataFile.sizeBytes,
    },
  )
}

const readCompressed = async (layer: Layer, run: ClusterRun, target: Bytes): Promise<void> => {
  if (target.length === layer.clusterBytes) return await decompressRun(layer, run, target)
  const cluster = await layer.clusters.get(run.host as number, async () => {
    const whole = new Uint8Array(layer.clusterBytes)
    await decompressRun(layer, run, whole)
    return whole
  })
  const start = run.offset % layer.clusterBytes
  target.set(cluster.subarray(start, start + target.length))
}

const decompressRun = async ({ imageFile, decompress }: Layer, run: ClusterRun, target: Bytes): Promise<void> => {
  const bytes = new Uint8Array(storedLength(imageFile, run))
  await imageFile.read(run.host as number, bytes)
  decompress(bytes, target)
}

/**
 * Bytes of a compressed cluster that are in the file: its last sector may be cut, other writers do not fill it.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when there are none
 */
export const storedLength = (file: RandomFile, run: ClusterRun): number => {
  const host = run.host as number
  const stored = Math.min(run.storedBytes, file.sizeBytes - host)
  if (stored > 0) return stored
  throw corrupt(`the compressed cluster of guest offset ${run.offset} is past the end of the file`, {
    offset: run.offset,
    host,
  })
}

/** Runs `action` for every item, at most `limit` at once. After a failure no new one starts. */
const inParallel = async <Item>(
  items: readonly Item[],
  limit: number,
  action: (item: Item) => Promise<void>,
): Promise<void> => {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next++] as Item
      try {
        await action(item)
      } catch (error) {
        next = items.length
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
}
