/**
 * Compressed extents: zlib, LZO in pages, or zstd.
 *
 * @see https://btrfs.readthedocs.io/en/latest/Compression.html, Linux fs/btrfs/lzo.c
 * @module
 */
import { constants, inflateSync } from 'node:zlib'
import { decodeZstdFrame, zstdFrameAt } from '@granary/core'
import type { Bytes } from '@granary/core'
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
        return readZstdFrame(bytes, length + sectorBytes, where).subarray(0, length)
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

/** The first frame alone: zeros follow it up to the end of the sector. @param room an inline extent's frame may hold a whole sector */
const readZstdFrame = (bytes: Bytes, room: number, where: string): Bytes => {
  const frame = zstdFrameAt(bytes, 0)
  if (frame === undefined) throw corrupt(where, 'a zstd frame', 'none that is whole')
  const target = new Uint8Array(room)
  decodeZstdFrame(bytes.subarray(0, frame.end), frame, target)
  return target
}
