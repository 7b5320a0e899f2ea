/**
 * A disk as it was at one moment while its guest goes on writing: what is about to be overwritten is first kept in a
 * scratch volume, as QEMU's backup job does. §4.3 "live"
 *
 * @module
 */
import type { Bytes, Extent } from '@granary/core'
import { CLUSTER_BYTES, clusterCount } from './geometry.ts'
import type { ClusterRange } from './geometry.ts'
import { STATE } from './layer.ts'
import type { Layer } from './layer.ts'
import { layerExtents, readLayers } from './layer-chain.ts'

/** The layers at the moment of the freeze, and the scratch volume over them. Callers hold the disk's lock. */
export class LiveFreeze {
  readonly scratch: Layer
  readonly #layers: readonly Layer[]
  readonly #sizeBytes: number

  constructor(layers: readonly Layer[], scratch: Layer, sizeBytes: number) {
    this.#layers = layers
    this.scratch = scratch
    this.#sizeBytes = sizeBytes
  }

  /** Keeps what is in these clusters, before they change. @throws GranaryError `GRANARY_NO_SPACE`; the guest's write fails then */
  async preserve({ first, end }: ClusterRange): Promise<void> {
    const stop = Math.min(end, clusterCount(this.#sizeBytes))
    for (let cluster = first; cluster < stop; cluster++) {
      if (this.scratch.stateOf(cluster) !== STATE.absent) continue
      const offset = cluster * CLUSTER_BYTES
      const length = Math.min(CLUSTER_BYTES, this.#sizeBytes - offset)
      const [old] = layerExtents(this.#layers, offset, length)
      const only = { first: cluster, end: cluster + 1 }
      if (old?.kind !== 'data') await this.scratch.clear(only, STATE.zero)
      else {
        this.scratch.claim(only, true) // vdsm extends scratch disks as well.
        const bytes = new Uint8Array(length)
        await readLayers(this.#layers, offset, bytes)
        await this.scratch.write(offset, bytes)
      }
    }
  }

  async read(offset: number, target: Bytes): Promise<void> {
    await readLayers([...this.#layers, this.scratch], offset, target)
  }

  extents(offset: number, length: number): Generator<Extent> {
    return layerExtents([...this.#layers, this.scratch], offset, length)
  }
}
