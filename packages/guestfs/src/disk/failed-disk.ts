/** A disk of which nothing can be read, for a volume that is told of all the same. @module */
import type { DiskReader } from '@granary/core'
import { mappedDisk } from './mapped-disk.ts'

export const failedDisk = (reason: Error, sizeBytes = 0): DiskReader =>
  mappedDisk({
    sizeBytes,
    blockBytes: 512,
    where: 'volume',
    locate: offset => ({ kind: 'missing', length: sizeBytes - offset, reason: () => reason }),
  })
