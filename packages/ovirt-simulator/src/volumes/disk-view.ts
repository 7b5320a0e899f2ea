/** Layers as a disk to read and to write, past any guest. @module */
import { checkRange } from '@granary/core'
import type { Bytes, DiskReader, DiskWriter } from '@granary/core'
import type { Layer } from './layer.ts'
import { layerExtents, readLayers } from './layer-chain.ts'
import type { ReadWriteLock } from './read-write-lock.ts'

export interface DiskViewParts {
  readonly sizeBytes: number
  readonly lock: ReadWriteLock
  /** Asked at each call: layers come and go. */
  readonly layers: () => readonly Layer[]
  readonly write: (offset: number, bytes: Bytes) => Promise<void>
  readonly zero: (offset: number, length: number) => Promise<void>
}

/** A view owns nothing: closing it does nothing. */
export const diskView = ({ sizeBytes, lock, layers, write, zero }: DiskViewParts): DiskReader & DiskWriter => ({
  sizeBytes,
  blockBytes: 512,
  readsZero: false,
  async read(offset, target, { signal } = {}) {
    signal?.throwIfAborted()
    checkRange(offset, target.length, sizeBytes)
    await lock.shared(() => readLayers(layers(), offset, target))
  },
  async *extents({ offset = 0, length = sizeBytes - offset, signal } = {}) {
    checkRange(offset, length, sizeBytes)
    signal?.throwIfAborted()
    yield* await lock.shared(async () => [...layerExtents(layers(), offset, length)])
  },
  async write(offset, bytes, { signal } = {}) {
    signal?.throwIfAborted()
    await write(offset, bytes)
  },
  async zero(offset, length, { signal } = {}) {
    signal?.throwIfAborted()
    await zero(offset, length)
  },
  async flush() {},
  async [Symbol.asyncDispose]() {},
})
