/** What a guest sees of layers that lie over each other, the top one last. @module */
import type { Bytes, Extent } from '@granary/core'
import { CLUSTER_BYTES } from './geometry.ts'
import { STATE } from './layer.ts'
import type { Layer } from './layer.ts'

/** A run of clusters that one layer shows, or none does. */
interface Run {
  readonly end: number
  readonly layer: Layer | undefined
  readonly state: number
}

const ownerOf = (layers: readonly Layer[], cluster: number): Layer | undefined =>
  layers.findLast(layer => layer.stateOf(cluster) !== STATE.absent)

/** The run that begins with a cluster. */
const runAt = (layers: readonly Layer[], first: number, limit: number): Run => {
  const layer = ownerOf(layers, first)
  const state = layer?.stateOf(first) ?? STATE.absent
  let end = first + 1
  while (end < limit && ownerOf(layers, end) === layer && (layer?.stateOf(end) ?? STATE.absent) === state) end++
  return { end, layer, state }
}

/** Fills `target` with what the layers show from `offset` on. */
export const readLayers = async (layers: readonly Layer[], offset: number, target: Bytes): Promise<void> => {
  const stop = offset + target.length
  const limit = Math.ceil(stop / CLUSTER_BYTES)
  for (let at = offset; at < stop;) {
    const { end, layer, state } = runAt(layers, Math.floor(at / CLUSTER_BYTES), limit)
    const runEnd = Math.min(end * CLUSTER_BYTES, stop)
    const part = target.subarray(at - offset, runEnd - offset)
    if (state === STATE.data) await layer?.read(at, part)
    else part.fill(0)
    at = runEnd
  }
}

/** Extents of the layers' view. `present` is false where no layer has anything, so that a lone layer can be told from its chain. */
export function* layerExtents(layers: readonly Layer[], offset: number, length: number): Generator<Extent> {
  const stop = offset + length
  const limit = Math.ceil(stop / CLUSTER_BYTES)
  for (let at = offset; at < stop;) {
    const { end, state } = runAt(layers, Math.floor(at / CLUSTER_BYTES), limit)
    const runEnd = Math.min(end * CLUSTER_BYTES, stop)
    yield { offset: at, length: runEnd - at, kind: kindOf(state), present: state !== STATE.absent }
    at = runEnd
  }
}

const kindOf = (state: number): Extent['kind'] => {
  if (state === STATE.data) return 'data'
  return state === STATE.zero ? 'zero' : 'hole'
}
