/** The content of an unlocked container as a disk. @module */
import { checkRange } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { corrupt } from '../../errors.ts'
import type { Segment } from './header.ts'
import { decryptSectors } from './sector-cipher.ts'
import type { SectorCipher } from './sector-cipher.ts'

const SECTOR_SIZES = [512, 1024, 2048, 4096]
const PIECE_BYTES = 256 * 1024

/** Zeros below are not zeros above, so all of it is data. The disk below stays the caller's. */
export const cryptDisk = (disk: DiskReader, segment: Segment, cipher: SectorCipher, where: string): DiskReader => {
  const { offset: start, sectorBytes, firstSector } = segment
  if (!SECTOR_SIZES.includes(sectorBytes)) throw corrupt(where, 'sectors of 512 to 4096 bytes', sectorBytes)
  const room = Math.max(disk.sizeBytes - start, 0)
  const wanted = segment.sizeBytes ?? room
  if (wanted > room) throw corrupt(where, `a volume of at least ${start + wanted} bytes`, disk.sizeBytes)
  const sizeBytes = wanted - (wanted % sectorBytes)
  return {
    sizeBytes,
    blockBytes: sectorBytes,
    async read(offset, target, options = {}) {
      options.signal?.throwIfAborted()
      checkRange(offset, target.length, sizeBytes)
      for (let done = 0; done < target.length;) {
        const at = offset + done
        const from = at - (at % sectorBytes)
        const length = Math.min(target.length - done, PIECE_BYTES)
        const bytes = new Uint8Array(Math.ceil((at + length - from) / sectorBytes) * sectorBytes)
        await disk.read(start + from, bytes, options)
        decryptSectors(cipher, { firstSector: firstSector + from / 512, sectorBytes }, bytes, bytes)
        target.set(bytes.subarray(at - from, at - from + length), done)
        done += length
      }
    },
    async *extents({ offset = 0, length = sizeBytes - offset, signal } = {}) {
      signal?.throwIfAborted()
      checkRange(offset, length, sizeBytes)
      if (length > 0) yield { offset, length, kind: 'data' as const }
    },
    async [Symbol.asyncDispose]() {},
  }
}
