/** Compression as a stage. @module */
import type { Transform } from 'node:stream'
import type { AbortOptions, Bytes } from '@granary/core'
import { compressions, createCompressor, decompress } from '../compression/compression.ts'
import type { Compression, CompressorOptions } from '../compression/compression.ts'
import { PieceReader } from './piece.ts'
import type { Piece, StageInput } from './piece.ts'
import { runAsStage, runAsTransform } from './stage.ts'
import type { Machine, Stage } from './stage.ts'

/** @default zstd at level 3 */
export interface CompressOptions extends Partial<Compression>, CompressorOptions, AbortOptions {}

/**
 * A stage that compresses each chunk for itself. Chunks that don't get smaller pass as they are; so do runs of zeros, and
 * chunks that are compressed already. Plain bytes are compressed in groups of 128 KiB. Memory: one chunk and its result.
 *
 * @example for await (const piece of compress({ level: 3 })(chunk({ parameters, secret })(source))) await put(piece)
 */
export const compress = (options: CompressOptions = {}): Stage<StageInput, Piece> =>
  runAsStage(() => compressMachine(options), options)

/** The same as a Node Transform. */
export const compressTransform = (options: CompressOptions = {}): Transform =>
  runAsTransform(compressMachine(options), options)

export interface UncompressOptions extends AbortOptions {}

/**
 * A stage that undoes `compress`: the chunks as they went in.
 *
 * @throws GranaryError `GRANARY_CORRUPT` or `GRANARY_UNSUPPORTED` as `decompress` does
 */
export const uncompress = (options: UncompressOptions = {}): Stage<Piece, Piece> =>
  runAsStage(() => uncompressMachine, options)

/** The same as a Node Transform. */
export const uncompressTransform = (options: UncompressOptions = {}): Transform =>
  runAsTransform(uncompressMachine, options)

const compressMachine = (options: CompressOptions): Machine<StageInput, Piece> => {
  const { name = 'zstd', level } = options
  const compressor = createCompressor(level === undefined ? { name } : { name, level }, options)
  const reader = new PieceReader()
  const compressPiece = (piece: Piece): Piece => {
    if (piece.kind === 'zero' || (piece.compression ?? compressions.none.id) !== compressions.none.id) return piece
    const { bytes, id } = compressor.compress(piece.bytes)
    // LZ4's result is overwritten by the next: whoever is downstream may keep this one.
    return { ...piece, bytes: id === compressions.lz4.id ? bytes.slice() : bytes, compression: id }
  }
  return {
    *push(item) {
      for (const piece of reader.push(item)) yield compressPiece(piece)
    },
    *finish() {
      for (const piece of reader.finish()) yield compressPiece(piece)
    },
  }
}

const uncompressMachine: Machine<Piece, Piece> = {
  push: piece => [
    piece.kind === 'zero' ? piece : plainPiece(piece.offset, piece.length, piece.bytes, piece.compression),
  ],
  finish: () => [],
}

const plainPiece = (
  offset: number,
  length: number,
  bytes: Bytes,
  compression: number = compressions.none.id,
): Piece => ({
  kind: 'data',
  offset,
  length,
  bytes: decompress(compression, bytes, length),
})
