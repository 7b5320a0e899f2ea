/** The most recently used pages of index segments, up to a set number of bytes. @module */
import type { Bytes } from '@granary/core'

export interface PageCache {
  get(key: string, page: number): Bytes | undefined
  set(key: string, page: number, plain: Bytes): void
}

/** 64 MiB: the hot pages of some ten million chunks. */
const DEFAULT_BYTES = 64 * 1024 * 1024

export const createPageCache = (capacityBytes = DEFAULT_BYTES): PageCache => {
  const pages = new Map<string, Bytes>()
  let bytes = 0
  return {
    get(key, page) {
      const name = `${key}#${page}`
      const plain = pages.get(name)
      if (plain === undefined) return undefined
      pages.delete(name) // Back in as the youngest.
      pages.set(name, plain)
      return plain
    },
    set(key, page, plain) {
      pages.set(`${key}#${page}`, plain)
      bytes += plain.length
      for (const [name, oldest] of pages) {
        if (bytes <= capacityBytes) break
        pages.delete(name)
        bytes -= oldest.length
      }
    },
  }
}
