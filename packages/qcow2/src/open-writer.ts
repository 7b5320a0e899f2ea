/** Opens an image to be written. @module */
import type { DiskReader } from '@granary/core'
import { loadBitmaps } from './bitmap-keeper.ts'
import type { CompressClusters } from './cluster-writer.ts'
import type { CodecPool } from './codec-pool.ts'
import { compressorFor } from './compress.ts'
import { decompressorFor } from './decompress.ts'
import { readHeader } from './header.ts'
import { openEditor } from './image-editor.ts'
import { DEFAULT_CACHE_BYTES, openBacking, poolFor, refuseEncrypted } from './open.ts'
import type { OpenQcow2Options } from './open.ts'
import { pooledCompressor, pooledReader } from './pooled-codec.ts'
import type { WritableFile } from './random-file.ts'
import { extendChain } from './references.ts'
import { ImageWriter, writerDisk } from './writer.ts'
import type { Qcow2Writer, WriterParts } from './writer.ts'

export interface OpenQcow2WriterOptions extends Pick<
  OpenQcow2Options,
  'resolve' | 'location' | 'cacheBytes' | 'zstd' | 'workers' | 'backingDisk'
> {
  /** Compress what is written, cluster by cluster: 1..9 with zlib, 1..19 with zstd. @default off */
  readonly compressionLevel?: number
}

/**
 * Opens an image to be written at random. The disk owns `file`: it is closed with the disk, and when opening fails.
 *
 * @throws GranaryError as `openQcow2`; `GRANARY_UNSUPPORTED` for images of version 2, those marked corrupt, and those with a data file
 */
export const openQcow2Writer = async (
  file: WritableFile,
  options: OpenQcow2WriterOptions = {},
): Promise<Qcow2Writer> => {
  const { writer, parts } = await openImageWriter(file, options)
  return writerDisk(writer, parts)
}

export const openImageWriter = async (
  file: WritableFile,
  options: OpenQcow2WriterOptions,
): Promise<{ writer: ImageWriter; parts: WriterParts }> => {
  let backing: DiskReader | undefined
  const pool = poolFor(options)
  const close = async (): Promise<void> => {
    await pool.close()
    await backing?.[Symbol.asyncDispose]()
    await file[Symbol.asyncDispose]?.()
  }
  try {
    const header = await readHeader(file)
    refuseEncrypted(header)
    backing = await openBacking(header, options, extendChain({ depth: 0, identities: [], pool }, file))
    const cacheBytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES
    const parts: WriterParts = {
      editor: await openEditor(file, header, { cacheBytes }),
      backing,
      decompress: decompressorFor(header.compression, options.zstd),
      pooled: pooledReader(pool, file, header.compression, header.clusterBytes),
      compress: compressor(header.compression, pool, options),
      cacheBytes,
      bitmaps: await loadBitmaps(file, header),
      close,
    }
    return { writer: new ImageWriter(parts), parts }
  } catch (error) {
    await close()
    throw error
  }
}

const compressor = (
  compression: 'zlib' | 'zstd',
  pool: CodecPool,
  { compressionLevel, zstd }: OpenQcow2WriterOptions,
): CompressClusters | undefined => {
  if (compressionLevel === undefined) return undefined
  const compress = compressorFor(compression, compressionLevel, zstd)
  if (pool.size > 0) return pooledCompressor(pool, compression, compressionLevel, compress)
  return async clusters => clusters.map(compress)
}
