/** Compressed clusters. @see QEMU docs/interop/qcow2.txt, section "Compressed Clusters Descriptor" @module */
import { constants, inflateRawSync } from 'node:zlib'
import { decodeZstdFrame, zstdFrameAt } from '@granary/core'
import type { Bytes, ZstdEngine } from '@granary/core'
import { corrupt } from './format.ts'
import type { Compression } from './header.ts'

/**
 * Decodes one cluster into `target`, which has the size of a cluster.
 * The end of `stored` may belong to somebody else: what follows the compressed data is ignored.
 */
export type Decompressor = (stored: Bytes, target: Bytes) => void

/** The decompressor of an image. @param zstd used instead of the default implementation */
export const decompressorFor = (compression: Compression, zstd?: ZstdEngine): Decompressor =>
  compression === 'zlib' ? inflateCluster : (stored, target) => decodeZstdCluster(stored, target, zstd)

/** Deflate without a header; a flush instead of a finish, because the input may go on behind its end. */
const inflateCluster: Decompressor = (stored, target) => {
  let bytes: Bytes
  try {
    bytes = inflateRawSync(stored, {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: target.length,
      chunkSize: Math.max(64, target.length),
    })
  } catch (cause) {
    throw corrupt('a compressed cluster does not decompress', { compression: 'zlib' }, cause)
  }
  if (bytes.length !== target.length) throw shortCluster(bytes.length, target.length)
  target.set(bytes)
}

/** One or more frames; skippable ones hold nothing. */
const decodeZstdCluster = (stored: Bytes, target: Bytes, zstd: ZstdEngine | undefined): void => {
  let filled = 0
  for (let at = 0; filled < target.length;) {
    const frame = zstdFrameAt(stored, at)
    if (frame === undefined || (frame.contentBytes ?? 0) > target.length - filled) throw damaged()
    if (!frame.isSkippable) {
      try {
        filled += decodeZstdFrame(stored.subarray(at, frame.end), frame, target.subarray(filled), zstd)
      } catch (cause) {
        throw damaged(cause)
      }
    }
    at = frame.end
  }
}

const damaged = (cause?: unknown): Error =>
  corrupt('a compressed cluster does not decompress', { compression: 'zstd' }, cause)

const shortCluster = (found: number, wanted: number): Error =>
  corrupt(`a compressed cluster decodes to ${found} bytes instead of ${wanted}`, { found, wanted })
