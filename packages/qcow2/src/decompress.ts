/** Compressed clusters. @see QEMU docs/interop/qcow2.txt, section "Compressed Clusters Descriptor" @module */
import { constants, inflateRawSync } from 'node:zlib'
import type { Bytes } from '@granary/core'
import { corrupt } from './format.ts'
import type { Compression } from './header.ts'
import { defaultZstdCodec } from './zstd-codec.ts'
import type { ZstdCodec } from './zstd-codec.ts'
import { zstdFrameAt } from './zstd-frames.ts'

/**
 * Decodes one cluster into `target`, which has the size of a cluster.
 * The end of `stored` may belong to somebody else: what follows the compressed data is ignored.
 */
export type Decompressor = (stored: Bytes, target: Bytes) => void

/** The decompressor of an image. @param zstd used instead of the default implementation */
export const decompressorFor = async (compression: Compression, zstd?: ZstdCodec): Promise<Decompressor> => {
  if (compression === 'zlib') return inflateCluster
  const codec = zstd ?? (await defaultZstdCodec())
  return (stored, target) => decodeZstdCluster(codec, stored, target)
}

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

/** Most a frame may claim to decode to, beyond the cluster: small frames of many blocks claim more than they hold. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024

const decodeZstdCluster = (codec: ZstdCodec, stored: Bytes, target: Bytes): void => {
  let filled = 0
  for (let at = 0; filled < target.length;) {
    const frame = zstdFrameAt(stored, at)
    if (frame === undefined || (frame.contentBytes ?? 0) > target.length - filled || frame.maxBytes > MAX_FRAME_BYTES)
      throw corrupt('a compressed cluster does not decompress', { compression: 'zstd' })
    if (!frame.isSkippable) filled += decodeFrame(codec, stored.subarray(at, frame.end), target.subarray(filled))
    at = frame.end
  }
}

const decodeFrame = (codec: ZstdCodec, frame: Bytes, target: Bytes): number => {
  try {
    return codec.decompress(frame, target)
  } catch (cause) {
    throw corrupt('a compressed cluster does not decompress', { compression: 'zstd' }, cause)
  }
}

const shortCluster = (found: number, wanted: number): Error =>
  corrupt(`a compressed cluster decodes to ${found} bytes instead of ${wanted}`, { found, wanted })
