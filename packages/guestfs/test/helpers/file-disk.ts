/** Disks for tests: a file, and a disk with damage. @module */
import { open } from 'node:fs/promises'
import { checkRange } from '@granary/core'
import type { Bytes, DiskReader } from '@granary/core'

/** What a disk was asked for, for tests that bound it. */
export interface CountingDisk extends DiskReader {
  readonly counts: { reads: number; bytes: number }
}

export const fileDisk = async (path: string): Promise<CountingDisk> => {
  const handle = await open(path, 'r')
  const { size: sizeBytes } = await handle.stat()
  const counts = { reads: 0, bytes: 0 }
  let isOpen = true
  return {
    counts,
    sizeBytes,
    blockBytes: 512,
    async read(offset, target, { signal } = {}) {
      signal?.throwIfAborted()
      checkRange(offset, target.length, sizeBytes)
      counts.reads++
      counts.bytes += target.length
      for (let done = 0; done < target.length;) {
        const { bytesRead } = await handle.read(target, done, target.length - done, offset + done)
        if (bytesRead === 0) throw new Error(`${path} ended early`)
        done += bytesRead
      }
    },
    async *extents({ offset = 0, length = sizeBytes - offset } = {}) {
      checkRange(offset, length, sizeBytes)
      if (length > 0) yield { offset, length, kind: 'data' as const }
    },
    async [Symbol.asyncDispose]() {
      if (isOpen) await handle.close()
      isOpen = false
    },
  }
}

export interface Damage {
  readonly patches: readonly (readonly [offset: number, bytes: Bytes])[]
  readonly truncateBytes?: number
}

/** The same disk with some bytes changed, or cut off. */
export const damagedDisk = (disk: DiskReader, { patches, truncateBytes }: Damage): DiskReader => {
  const sizeBytes = Math.min(truncateBytes ?? disk.sizeBytes, disk.sizeBytes)
  return {
    sizeBytes,
    blockBytes: disk.blockBytes,
    async read(offset, target, options) {
      checkRange(offset, target.length, sizeBytes)
      await disk.read(offset, target, options)
      for (const [at, bytes] of patches) {
        const from = Math.max(at, offset)
        const to = Math.min(at + bytes.length, offset + target.length)
        if (from < to) target.set(bytes.subarray(from - at, to - at), from - offset)
      }
    },
    async *extents({ offset = 0, length = sizeBytes - offset } = {}) {
      checkRange(offset, length, sizeBytes)
      if (length > 0) yield { offset, length, kind: 'data' as const }
    },
    async [Symbol.asyncDispose]() {},
  }
}
