/**
 * Compressed extents: zlib, LZO in pages, or zstd.
 *
 * @see https://btrfs.readthedocs.io/en/latest/Compression.html, Linux fs/btrfs/lzo.c
 * @module
 */
import { constants, inflateSync } from 'node:zlib'
import type { Bytes } from '@granary/core'
import { decompress as decompressZstd } from 'fzstd'
import { corrupt, unsupported } from '../../errors.ts'
import { decompressLzo } from '../../format/lzo.ts'
import { Fields } from '../../format/fields.ts'

const METHOD = { none: 0, zlib: 1, lzo: 2, zstd: 3 } as const

/** The content of an extent, zeros where the stream ends early. @param length at most 128 KiB, or a sector for inline extents */
export const decompressExtent = (
  bytes: Bytes,
  method: number,
  length: number,
  sectorBytes: number,
  where: string,
): Bytes => {
  const target = new Uint8Array(length)
  try {
    switch (method) {
      case METHOD.zlib: {
        // What follows the stream up to the end of the sector is ignored.
        const plain = inflateSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: length + sectorBytes })
        target.set(plain.subarray(0, length))
        return target
      }
      case METHOD.lzo:
        readLzoSegments(new Fields(bytes, where), target, sectorBytes)
        return target
      case METHOD.zstd:
        target.set(decompressZstd(zstdFrame(bytes, where), new Uint8Array(length + sectorBytes)).subarray(0, length))
        return target
      default:
        throw unsupported(where, `compression method ${method}`)
    }
  } catch (error) {
    if (error instanceof Error && error.name === 'GranaryError') throw error
    throw corrupt(where, 'a compressed extent', String(error))
  }
}

/** Total length, then segments of a sector each; the length of a segment never goes over the end of a sector. */
const readLzoSegments = (fields: Fields, target: Bytes, sectorBytes: number): void => {
  const end = Math.min(fields.u32(0), fields.length)
  let done = 0
  for (let at = 4; at + 4 <= end && done < target.length;) {
    const left = sectorBytes - (at % sectorBytes)
    if (left < 4) at += left
    const length = fields.u32(at)
    at += 4
    done += decompressLzo(fields.slice(at, length), target.subarray(done, done + sectorBytes), fields.where)
    at += length
  }
}

/** The first frame alone: zeros follow it up to the end of the sector. @see RFC 8878, section 3.1.1 */
const zstdFrame = (bytes: Bytes, where: string): Bytes => {
  const MAGIC = 0xfd2fb528
  const fields = new Fields(bytes, where)
  if (fields.u32(0) !== MAGIC) throw corrupt(where, `magic ${MAGIC}`, fields.u32(0))
  const descriptor = fields.u8(4)
  const isSingle = (descriptor & 0x20) !== 0
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] as number
  let at = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number) + sizeBytes
  for (let isLast = false; !isLast;) {
    const header = fields.u8(at) | (fields.u8(at + 1) << 8) | (fields.u8(at + 2) << 16)
    isLast = (header & 1) === 1
    const isRun = ((header >> 1) & 3) === 1
    at += 3 + (isRun ? 1 : header >> 3)
  }
  return fields.slice(0, at + ((descriptor & 4) === 0 ? 0 : 4))
}
