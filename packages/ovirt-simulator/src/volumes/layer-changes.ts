/** Changes to the top layer, which must take over the rest of a cluster of which only a part is changed. @module */
import type { Bytes } from '@granary/core'
import { CLUSTER_BYTES, clustersOf, wholeClustersOf } from './geometry.ts'
import { STATE } from './layer.ts'
import type { Layer } from './layer.ts'
import { readLayers } from './layer-chain.ts'

/** A change of `layers`, the top one last, whose disk has that size. */
export interface ChangeOptions {
  readonly layers: readonly Layer[]
  readonly sizeBytes: number
  /** Whether a logical volume that is too small is made larger. */
  readonly mayExtend: boolean
}

/** @throws GranaryError `GRANARY_NO_SPACE`; nothing is changed then */
export const writeLayers = async (options: ChangeOptions, offset: number, bytes: Bytes): Promise<void> => {
  const top = topOf(options.layers)
  const end = offset + bytes.length
  if (bytes.length === 0) return
  const clusters = clustersOf(offset, bytes.length)
  top.claim(clusters, options.mayExtend)
  // Copied up first: the bytes of the caller go over it.
  if (offset % CLUSTER_BYTES !== 0) await copyUp(options, clusters.first)
  const isTailShort = end % CLUSTER_BYTES !== 0 && end !== options.sizeBytes
  if (isTailShort && (clusters.end - 1 > clusters.first || offset % CLUSTER_BYTES === 0))
    await copyUp(options, clusters.end - 1)
  await top.write(offset, bytes)
}

/**
 * Makes a range read as zeros: whole clusters by their state, parts of clusters by writing.
 *
 * @throws GranaryError `GRANARY_NO_SPACE`
 */
export const zeroLayers = async (options: ChangeOptions, offset: number, length: number): Promise<void> => {
  const whole = wholeClustersOf(offset, length, options.sizeBytes)
  const end = offset + length
  claimParts(options, offset, end)
  if (whole.first === whole.end) return await zeroPart(options, offset, end)
  await zeroPart(options, offset, Math.min(whole.first * CLUSTER_BYTES, end))
  await topOf(options.layers).clear(whole, STATE.zero)
  await zeroPart(options, Math.min(whole.end * CLUSTER_BYTES, end), end)
}

const zeroPart = async (options: ChangeOptions, offset: number, end: number): Promise<void> => {
  for (let at = offset; at < end;) {
    const stop = Math.min(end, (Math.floor(at / CLUSTER_BYTES) + 1) * CLUSTER_BYTES)
    if (showsData(options.layers, Math.floor(at / CLUSTER_BYTES)))
      await writeLayers(options, at, new Uint8Array(stop - at))
    at = stop
  }
}

/** Room for the clusters at both ends, before anything is changed. */
const claimParts = ({ layers, sizeBytes, mayExtend }: ChangeOptions, offset: number, end: number): void => {
  const edges = new Set<number>()
  if (offset % CLUSTER_BYTES !== 0) edges.add(Math.floor(offset / CLUSTER_BYTES))
  if (end % CLUSTER_BYTES !== 0 && end !== sizeBytes) edges.add(Math.floor(end / CLUSTER_BYTES))
  for (const cluster of edges)
    if (showsData(layers, cluster)) topOf(layers).claim({ first: cluster, end: cluster + 1 }, mayExtend)
}

const showsData = (layers: readonly Layer[], cluster: number): boolean =>
  layers.findLast(layer => layer.stateOf(cluster) !== STATE.absent)?.stateOf(cluster) === STATE.data

const copyUp = async ({ layers, sizeBytes }: ChangeOptions, cluster: number): Promise<void> => {
  const top = topOf(layers)
  if (top.stateOf(cluster) === STATE.data) return
  const offset = cluster * CLUSTER_BYTES
  const bytes = new Uint8Array(Math.min(CLUSTER_BYTES, sizeBytes - offset))
  await readLayers(layers, offset, bytes)
  await top.write(offset, bytes)
}

const topOf = (layers: readonly Layer[]): Layer => layers[layers.length - 1] as Layer
