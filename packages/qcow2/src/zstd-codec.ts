/**
 * zstd, from the best part there is: `node:zlib` (Node 22.15 and later), a native addon that npm brings
 * prebuilt, or WebAssembly. All three give and take whole frames.
 *
 * @see docs/decisions/0030-qcow2-zstd.md
 * @module
 */
import zlib from 'node:zlib'
import type { Bytes } from '@granary/core'

/** A zstd implementation. Throws anything at all when the bytes are not one whole frame. */
export interface ZstdCodec {
  readonly name: string
  /** Decodes one frame. What it allocates is bounded by its caller, who knows how much the frame can decode to. */
  decompress(frame: Bytes, maxBytes: number): Bytes
  compress(bytes: Bytes, level: number): Bytes
}

/** `node:zlib` as of Node 22.15; `@types/node` 20 does not know it. */
interface NodeZstd {
  readonly zstdDecompressSync?: (bytes: Bytes, options: { maxOutputLength: number }) => Bytes
  readonly zstdCompressSync?: (bytes: Bytes, options: { params: Record<number, number> }) => Bytes
}

/** ZSTD_c_compressionLevel of zstd.h. */
const COMPRESSION_LEVEL = 100

const nodeCodec = (): ZstdCodec | undefined => {
  const { zstdDecompressSync, zstdCompressSync } = zlib as NodeZstd
  if (zstdDecompressSync === undefined || zstdCompressSync === undefined) return undefined
  return {
    name: 'node:zlib',
    decompress: (frame, maxBytes) => zstdDecompressSync(frame, { maxOutputLength: Math.max(1, maxBytes) }),
    compress: (bytes, level) => zstdCompressSync(bytes, { params: { [COMPRESSION_LEVEL]: level } }),
  }
}

const nativeCodec = async (): Promise<ZstdCodec | undefined> => {
  try {
    const { Decoder, Encoder } = await import('@toondepauw/node-zstd')
    const decoder = new Decoder()
    const encoders = new Map<number, InstanceType<typeof Encoder>>()
    return {
      name: 'native',
      decompress: frame => decoder.decodeSync(asBuffer(frame)),
      compress: (bytes, level) => {
        const encoder = encoders.get(level) ?? new Encoder(level)
        encoders.set(level, encoder)
        return encoder.encodeSync(asBuffer(bytes))
      },
    }
  } catch {
    return undefined // No prebuilt file for this platform: WebAssembly does the work.
  }
}

const asBuffer = (bytes: Bytes): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The implementation in WebAssembly, for platforms without a prebuilt one. */
export const wasmZstdCodec = async (): Promise<ZstdCodec> => {
  const { default: wasm } = await import('@bokuweb/zstd-wasm')
  await wasm.init()
  return {
    name: 'wasm',
    decompress: (frame, maxBytes) => wasm.decompress(frame, { defaultHeapSize: Math.max(1, maxBytes) }),
    compress: (bytes, level) => wasm.compress(bytes, level),
  }
}

let chosen: Promise<ZstdCodec> | undefined

/** The best implementation on this machine, chosen once. */
export const defaultZstdCodec = (): Promise<ZstdCodec> => (chosen ??= choose())

const choose = async (): Promise<ZstdCodec> => nodeCodec() ?? (await nativeCodec()) ?? (await wasmZstdCodec())
