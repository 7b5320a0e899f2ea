/** Compressing clusters. @see QEMU docs/interop/qcow2.txt, section "Compressed Clusters Descriptor" @module */
import { constants, deflateRawSync } from 'node:zlib'
import { defaultZstdCompressor } from '@granary/core'
import type { Bytes, ZstdEngine } from '@granary/core'
import type { Compression } from './header.ts'

/** Gives the compressed cluster, or undefined when it would not become smaller. */
export type Compressor = (cluster: Bytes) => Bytes | undefined

/** The format asks for a window of 12 bits. */
const WINDOW_BITS = 12

/** @param level 1..9 for zlib, 1..19 for zstd */
export const compressorFor = (compression: Compression, level: number, zstd?: ZstdEngine): Compressor => {
  const compress = compression === 'zlib' ? deflate(level) : (zstd ?? defaultZstdCompressor()).compressor(level)
  return cluster => {
    const bytes = compress(cluster)
    return bytes.length < cluster.length ? bytes : undefined
  }
}

const deflate =
  (level: number) =>
  (cluster: Bytes): Bytes =>
    deflateRawSync(cluster, { level, windowBits: WINDOW_BITS, memLevel: 9, strategy: constants.Z_DEFAULT_STRATEGY })
