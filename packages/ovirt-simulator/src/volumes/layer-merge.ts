/** Merging a layer into the one below it. @module */
import { CLUSTER_BYTES, clusterCount } from './geometry.ts'
import { STATE } from './layer.ts'
import type { Layer } from './layer.ts'

/**
 * Takes over into `base` what `top` has, over what is below them.
 *
 * @throws GranaryError `GRANARY_NO_SPACE` when it does not fit; nothing is changed then
 */
export const mergeLayers = async (base: Layer, top: Layer, below: readonly Layer[]): Promise<void> => {
  if (top.sizeBytes > base.sizeBytes) await base.resize(top.sizeBytes)
  const clusters = clusterCount(top.sizeBytes)
  claimAll(base, top, clusters)
  const buffer = new Uint8Array(CLUSTER_BYTES)
  for (let cluster = 0; cluster < clusters; cluster++) {
    const state = top.stateOf(cluster)
    const only = { first: cluster, end: cluster + 1 }
    if (state === STATE.zero) await base.clear(only, below.length === 0 ? STATE.absent : STATE.zero)
    else if (state === STATE.data) {
      const offset = cluster * CLUSTER_BYTES
      const bytes = buffer.subarray(0, Math.min(CLUSTER_BYTES, top.sizeBytes - offset))
      await top.read(offset, bytes)
      await base.write(offset, bytes)
    }
  }
}

/** Room for all that is to come, so that a merge that does not fit changes nothing. */
const claimAll = (base: Layer, top: Layer, clusters: number): void => {
  let missing = 0
  for (let cluster = 0; cluster < clusters; cluster++)
    if (top.stateOf(cluster) === STATE.data && base.stateOf(cluster) !== STATE.data) missing++
  base.claimMore(missing)
}
