/** The file allocation table: entries of 12, 16 or 32 bits. @see fatgen103, section "FAT Data Structure" @module */
import type { AbortOptions, Bytes } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { corrupt } from '../../errors.ts'
import type { FatGeometry } from './boot-sector.ts'
import type { ClusterHeap } from './cluster-chain.ts'

/** What is looked at in one piece; a multiple of 3, so that no 12-bit entry goes over its end. */
const WINDOW_BYTES = 3 * 4096

export const fatHeap = (disk: CachedDisk, geometry: FatGeometry): ClusterHeap => {
  const { bits, tableOffset, tableBytes, clusters, clusterBytes, dataOffset } = geometry
  const top = { 12: 0xff7, 16: 0xfff7, 32: 0xffffff7 }[bits]
  let window: { start: number; bytes: Bytes } = { start: 0, bytes: new Uint8Array(0) }
  return {
    disk,
    offset: dataOffset,
    clusterBytes,
    clusters,
    async next(cluster, where, options: AbortOptions) {
      const at = Math.floor((cluster * bits) / 8)
      if (at < window.start || at >= window.start + window.bytes.length) {
        const start = at - (at % WINDOW_BYTES)
        const length = Math.min(WINDOW_BYTES, tableBytes - start)
        window = { start, bytes: await disk.bytes(tableOffset + start, length, 'file allocation table', options) }
      }
      const value = entryOf(window.bytes, at - window.start, bits, cluster)
      if (value > top) return undefined
      if (value === top) throw corrupt(where, `a cluster after ${cluster}`, 'the mark of a bad one')
      if (value < 2) throw corrupt(where, `a cluster after ${cluster}`, value === 0 ? 'the mark of a free one' : value)
      return value
    },
  }
}

const entryOf = (bytes: Bytes, at: number, bits: 12 | 16 | 32, cluster: number): number => {
  const pair = (bytes[at] as number) | ((bytes[at + 1] ?? 0) << 8)
  if (bits === 12) return cluster % 2 === 0 ? pair & 0xfff : pair >> 4
  if (bits === 16) return pair
  // The upper four bits are reserved, and no part of the number.
  return pair | ((bytes[at + 2] ?? 0) << 16) | (((bytes[at + 3] ?? 0) & 0x0f) << 24)
}
