/**
 * zstd, from the best part there is: `node:zlib` (Node 22.15 and later), a native addon that npm brings
 * prebuilt, or WebAssembly.
 *
 * @see docs/decisions/0030-qcow2-zstd.md
 * @module
 */
import zlib from 'node:zlib'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { wasmZstdCodec } from './zstd-wasm.ts'

/** A zstd implementation. Throws anything at all when the bytes are not one whole frame, or the target is too small. */
export interface ZstdCodec {
  readonly name: string
  /** Decodes one frame. @returns bytes written to `target` */
  decompress(frame: Bytes, target: Bytes): number
  /** Makes one frame. */
  compress(bytes: Bytes, level: number): Bytes
}

/** `node:zlib` as of Node 22.15; `@types/node` 20 does not know it. */
interface NodeZstd {
  readonly zstdDecompressSync?: (bytes: Bytes, options: { maxOutputLength: number }) => Bytes
  readonly zstdCompressSync?: (bytes: Bytes, options: { params: Record<number, number> }) => Bytes
}

/** ZSTD_c_compressionLevel of zstd.h. */
const COMPRESSION_LEVEL = 100

const copyInto = (target: Bytes, bytes: Bytes): number => {
  if (bytes.length > target.length) throw new GranaryError('GRANARY_CORRUPT', 'zstd: a frame holds more than it should')
  target.set(bytes)
  return bytes.length
}

const nodeCodec = (): ZstdCodec | undefined => {
  const { zstdDecompressSync, zstdCompressSync } = zlib as NodeZstd
  if (zstdDecompressSync === undefined || zstdCompressSync === undefined) return undefined
  return {
    name: 'node:zlib',
    decompress: (frame, target) =>
      copyInto(target, zstdDecompressSync(frame, { maxOutputLength: Math.max(1, target.length) })),
    compress: (bytes, level) => zstdCompressSync(bytes, { params: { [COMPRESSION_LEVEL]: level } }),
  }
}

/** The native addon, or undefined where npm has no prebuilt file for the platform. What it allocates is bounded by its caller. */
export const nativeZstdCodec = async (): Promise<ZstdCodec | undefined> => {
  try {
    const { Decoder, Encoder } = await import('@toondepauw/node-zstd')
    const decoder = new Decoder()
    const encoders = new Map<number, InstanceType<typeof Encoder>>()
    return {
      name: 'native',
      decompress: (frame, target) => copyInto(target, decoder.decodeSync(asBuffer(frame))),
      compress: (bytes, level) => {
        const encoder = encoders.get(level) ?? new Encoder(level)
        encoders.set(level, encoder)
        return encoder.encodeSync(asBuffer(bytes))
      },
    }
  } catch {
    return undefined
  }
}

const asBuffer = (bytes: Bytes): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

let chosen: Promise<ZstdCodec> | undefined

/** The fastest implementation on this machine, chosen once. */
export const defaultZstdCodec = (): Promise<ZstdCodec> => (chosen ??= choose())

const choose = async (): Promise<ZstdCodec> => nodeCodec() ?? (await nativeZstdCodec()) ?? (await wasmZstdCodec())
