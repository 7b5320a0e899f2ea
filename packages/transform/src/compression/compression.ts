/**
 * The table of compressions, and the two functions the data path calls. Ids are stored beside each chunk and never reused.
 *
 * @module
 */
import { GranaryError, defaultZstdCompressor } from '@granary/core'
import type { Arena, Bytes, ZstdEngine } from '@granary/core'
import { looksIncompressible } from './entropy.ts'
import { createLz4 } from './lz4.ts'
import type { Lz4 } from './lz4.ts'
import { decompressZstd } from './zstd.ts'

/** What compressions there are: the number stored, and the levels one may ask for. */
export const compressions = {
  none: { id: 0, levels: undefined },
  lz4: { id: 1, levels: undefined },
  zstd: { id: 2, levels: { min: 1, max: 19, default: 3 } },
} as const

export type CompressionName = keyof typeof compressions

export interface Compression {
  readonly name: CompressionName
  /** Given for compressions that have levels, and only for them. */
  readonly level?: number
}

/** Longest block, bytes: the longest chunk is 4 MiB, and a megabyte of metadata may be longer. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024

/** Longest block of a compressor in a given arena, where it must take its memory at once. */
const DEFAULT_ARENA_BLOCK_BYTES = 4 * 1024 * 1024

/** What must be saved for a block to be stored compressed, as one part in so many: less isn't worth decompressing for. */
const WORTH_ONE_IN = 32

/** Blocks shorter than this go to zstd unprobed, bytes. */
const PROBE_FROM_BYTES = 32 * 1024

/**
 * Reads `none`, `lz4`, `zstd` or `zstd:1` to `zstd:19`.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is none of these
 */
export const parseCompression = (text: string): Compression => {
  const [, name = '', levelText] = /^([a-z0-9]+)(?::(\d{1,3}))?$/.exec(text) ?? []
  if (!Object.hasOwn(compressions, name)) throw unknown(text)
  const { levels } = compressions[name as CompressionName]
  const level = levelText === undefined ? levels?.default : Number(levelText)
  const compression = level === undefined ? { name: name as CompressionName } : { name: name as CompressionName, level }
  checkCompression(compression)
  return compression
}

/** Refuses what the table does not have: callers may build a `Compression` by hand. */
const checkCompression = (compression: Compression): void => {
  const { name, level } = compression
  const levels = Object.hasOwn(compressions, name) ? compressions[name].levels : undefined
  const isKnown =
    levels === undefined
      ? level === undefined && Object.hasOwn(compressions, name)
      : level === undefined || (Number.isInteger(level) && level >= levels.min && level <= levels.max)
  if (!isKnown) throw unknown(formatCompression(compression))
}

/** The text that `parseCompression` reads. */
export const formatCompression = ({ name, level }: Compression): string =>
  level === undefined ? name : `${name}:${level}`

/** A block as it is to be stored. */
export interface CompressedBlock {
  /** The bytes given (id 0), a view that the next call overwrites (id 1), or bytes of the receiver's own (id 2). */
  readonly bytes: Bytes
  /** Id of the compression that was used. */
  readonly id: number
}

export interface Compressor {
  readonly compression: Compression
  /**
   * The block compressed, or as it is (id 0) when that saves less than 1/32 of it.
   *
   * Native engines give buffers that are freed only between turns of the event loop: yield once a batch.
   */
  compress(bytes: Bytes): CompressedBlock
}

export interface CompressorOptions {
  /** Memory that LZ4 works in: blocks that lie in it are not copied. */
  readonly arena?: Arena
  /** Longest block, bytes. Of a given arena LZ4 takes twice as much. @default 4 MiB with an arena, else 64 MiB */
  readonly maxBlockBytes?: number
  /** @default the best engine on this machine */
  readonly zstd?: ZstdEngine
}

/**
 * A compressor, to be kept for many blocks. Not for two threads.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the name or level is not in the table
 */
export const createCompressor = (compression: Compression, options: CompressorOptions = {}): Compressor => {
  checkCompression(compression)
  const { id } = compressions[compression.name]
  const compress = ENCODERS[compression.name](compression, options)
  return {
    compression,
    compress: bytes => {
      const smaller = compress(bytes, worthwhileLength(bytes.length))
      return smaller === undefined ? { bytes, id: compressions.none.id } : { bytes: smaller, id }
    },
  }
}

/** Most bytes that a block of `length` may take compressed, to be stored so. */
const worthwhileLength = (length: number): number => length - Math.ceil(length / WORTH_ONE_IN)

/** Gives the block in at most `capacityBytes` bytes, or undefined. */
type Encoder = (bytes: Bytes, capacityBytes: number) => Bytes | undefined

const ENCODERS: Record<CompressionName, (compression: Compression, options: CompressorOptions) => Encoder> = {
  none: () => () => undefined,
  lz4: (_compression, options) => {
    const lz4 = lz4Of(options)
    return (bytes, capacityBytes) => lz4.compress(bytes, capacityBytes)
  },
  zstd: ({ level = compressions.zstd.levels.default }, options) => {
    const { zstd = defaultZstdCompressor() } = options
    const encode = zstd.compressor(level)
    let lz4: Lz4 | undefined
    // High entropy does not rule out long repeats (a file twice in one chunk). LZ4 finds those, at a tenth of zstd's cost.
    const isHopeless = (bytes: Bytes, capacityBytes: number): boolean =>
      bytes.length >= PROBE_FROM_BYTES &&
      looksIncompressible(bytes) &&
      (lz4 ??= lz4Of(options)).compress(bytes, capacityBytes) === undefined
    return (bytes, capacityBytes) => {
      if (isHopeless(bytes, capacityBytes)) return undefined
      const frame = encode(bytes)
      return frame.length <= capacityBytes ? frame : undefined
    }
  },
}

const lz4Of = ({ arena, maxBlockBytes }: CompressorOptions): Lz4 =>
  arena === undefined
    ? createLz4({ maxBlockBytes: maxBlockBytes ?? MAX_BLOCK_BYTES })
    : createLz4({ arena, maxBlockBytes: maxBlockBytes ?? DEFAULT_ARENA_BLOCK_BYTES })

let sharedLz4: Lz4 | undefined

/**
 * The `plainLengthBytes` bytes of a block, owned by the receiver except with id 0, which gives `bytes` back.
 *
 * @param id the id stored beside the block
 * @param plainLengthBytes the length stored beside the block, at most 64 MiB: what comes out is exactly that long
 * @throws GranaryError `GRANARY_CORRUPT` when the block is damaged or of another length, before more than that is allocated
 * @throws GranaryError `GRANARY_UNSUPPORTED` when the id is unknown
 * @throws GranaryError `GRANARY_LIMIT` when the length is out of range
 */
export const decompress = (id: number, bytes: Bytes, plainLengthBytes: number): Bytes => {
  checkPlainLength(plainLengthBytes)
  if (id === compressions.none.id) {
    if (bytes.length !== plainLengthBytes) throw wrongLength(bytes.length, plainLengthBytes)
    return bytes
  }
  const plain = new Uint8Array(plainLengthBytes)
  decompressInto(id, bytes, plain)
  return plain
}

/**
 * Fills `target` with what a block holds, without memory of its own where the engine allows that. On an error the content of
 * `target` is undefined.
 *
 * @param target as long as the block is plain, at most 64 MiB; shared memory is welcome
 * @throws GranaryError as `decompress` does
 */
export const decompressInto = (id: number, bytes: Bytes, target: Bytes): void => {
  checkPlainLength(target.length)
  switch (id) {
    case compressions.none.id:
      if (bytes.length !== target.length) throw wrongLength(bytes.length, target.length)
      target.set(bytes)
      break
    case compressions.lz4.id:
      sharedLz4 ??= createLz4({ maxBlockBytes: MAX_BLOCK_BYTES })
      target.set(sharedLz4.decompress(bytes, target.length))
      break
    case compressions.zstd.id:
      decompressZstd(bytes, target)
      break
    default:
      throw new GranaryError('GRANARY_UNSUPPORTED', `unknown compression number ${id}`, {
        detail: { id },
        hint: 'It was probably written by a newer version: update, and try again.',
      })
  }
}

const checkPlainLength = (plainLengthBytes: number): void => {
  if (Number.isInteger(plainLengthBytes) && plainLengthBytes >= 0 && plainLengthBytes <= MAX_BLOCK_BYTES) return
  throw new GranaryError('GRANARY_LIMIT', `block of ${plainLengthBytes} bytes: expected at most ${MAX_BLOCK_BYTES}`, {
    detail: { plainLengthBytes, max: MAX_BLOCK_BYTES },
  })
}

const wrongLength = (got: number, expected: number): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `block: expected ${expected} bytes, found ${got}`, { detail: { expected, got } })

const unknown = (text: string): GranaryError =>
  new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `compression '${text.slice(0, 32)}': expected none, lz4 or zstd:1 to zstd:19`,
    {
      detail: { compression: text.slice(0, 32) },
    },
  )
