/** zstd in native code that gives out memory of its own: Node's (22.15 and up), and an addon that npm brings prebuilt. @module */
import { createRequire } from 'node:module'
import * as zlib from 'node:zlib'
import type { Bytes } from '../bytes.ts'
import { loadOptional } from '../load-optional.ts'
import { copyPlain } from './zstd-engine.ts'
import type { ZstdEngine } from './zstd-engine.ts'

/** What `@types/node` 20 does not know of node:zlib yet. */
interface NodeZstd {
  readonly zstdCompressSync?: (bytes: Bytes, options: { params: Record<number, number> }) => Buffer
  readonly zstdDecompressSync?: (bytes: Bytes, options: { maxOutputLength: number }) => Buffer
  constants: { ZSTD_c_compressionLevel?: number }
}

/** Node's own, or undefined before it had one. */
export const loadZstdNode = (): ZstdEngine | undefined => {
  const { zstdCompressSync, zstdDecompressSync, constants } = zlib as unknown as NodeZstd
  const parameter = constants.ZSTD_c_compressionLevel
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined || parameter === undefined) return undefined
  return {
    name: 'node',
    isBounded: true,
    compressor: level => {
      const options = { params: { [parameter]: level } }
      return bytes => zstdCompressSync(bytes, options)
    },
    decompress: (frame, target) =>
      copyPlain(zstdDecompressSync(frame, { maxOutputLength: Math.max(1, target.length) }), target),
  }
}

/** `@toondepauw/node-zstd`. Takes Buffers, on shared memory too. */
interface Addon {
  readonly Encoder: new (level: number) => { encodeSync(bytes: Buffer): Buffer }
  readonly Decoder: new () => { decodeSync(bytes: Buffer): Buffer }
}

/** The addon, or undefined where it is not built for this platform. */
export const loadZstdAddon = (): ZstdEngine | undefined => {
  const addon = loadOptional(() => createRequire(import.meta.url)('@toondepauw/node-zstd') as Addon)
  if (addon === undefined) return undefined
  const decoder = new addon.Decoder()
  return {
    name: 'native',
    isBounded: false,
    compressor: level => {
      const encoder = new addon.Encoder(level)
      return bytes => encoder.encodeSync(asBuffer(bytes))
    },
    decompress: (frame, target) => copyPlain(decoder.decodeSync(asBuffer(frame)), target),
  }
}

const asBuffer = (bytes: Bytes): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
