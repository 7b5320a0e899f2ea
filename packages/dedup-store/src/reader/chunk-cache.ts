/** Plain chunks, the most recently used ones kept up to a set number of bytes. @module */
import type { Bytes } from '@granary/core'

export interface ChunkCache {
  get(name: string): Bytes | undefined
  set(name: string, plain: Bytes): void
}

export const createChunkCache = (capacityBytes: number): ChunkCache => {
  const chunks = new Map<string, Bytes>()
  let bytes = 0
  return {
    get(name) {
      const plain = chunks.get(name)
      if (plain === undefined) return undefined
      chunks.delete(name) // Back in as the youngest.
      chunks.set(name, plain)
      return plain
    },
    set(name, plain) {
      if (chunks.has(name)) return
      chunks.set(name, plain)
      bytes += plain.length
      for (const [oldest, { length }] of chunks) {
        if (bytes <= capacityBytes) break
        chunks.delete(oldest)
        bytes -= length
      }
    },
  }
}
