/**
 * The three ways to zstd: Node's own (22.15 and up), a native addon prebuilt for the common platforms, WebAssembly everywhere.
 * See docs/decisions/0003-zstd.md.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import * as zlib from 'node:zlib'
import type { Bytes } from '@granary/core'
import { loadNative } from '../load-native.ts'

const require = createRequire(import.meta.url)

export interface ZstdEngine {
  readonly name: 'node' | 'native' | 'wasm'
  /** True when `decompress` never holds more than it was told to expect, whatever the frame says. */
  readonly isBounded: boolean
  /** A function that makes one frame of each block. What it gives is the receiver's own. */
  compressor(level: number): (bytes: Bytes) => Bytes
  /** What a frame holds, at most `plainLengthBytes` bytes when `isBounded`. Throws whatever the library throws on damage. */
  decompress(frame: Bytes, plainLengthBytes: number): Bytes
}

/** The engines in order of preference; each gives undefined where it can't run. */
export const loadZstdEngines = (): {
  node: ZstdEngine | undefined
  native: ZstdEngine | undefined
  wasm: ZstdEngine
} => ({
  node: loadNode(),
  native: loadAddon(),
  wasm: loadWasm(),
})

/** What `@types/node` 20 does not know of node:zlib yet. */
interface NodeZstd {
  readonly zstdCompressSync?: (bytes: Bytes, options: { params: Record<number, number> }) => Buffer
  readonly zstdDecompressSync?: (bytes: Bytes, options: { maxOutputLength: number }) => Buffer
  constants: { ZSTD_c_compressionLevel?: number }
}

const loadNode = (): ZstdEngine | undefined => {
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
    decompress: (frame, plainLengthBytes) =>
      zstdDecompressSync(frame, { maxOutputLength: Math.max(1, plainLengthBytes) }),
  }
}

/** `@toondepauw/node-zstd`. Takes Buffers, on shared memory too. */
interface Addon {
  readonly Encoder: new (level: number) => { encodeSync(bytes: Buffer): Buffer }
  readonly Decoder: new () => { decodeSync(bytes: Buffer): Buffer }
}

const loadAddon = (): ZstdEngine | undefined => {
  const addon = loadNative<Addon>(() => require('@toondepauw/node-zstd'))
  if (addon === undefined) return undefined
  const decoder = new addon.Decoder()
  return {
    name: 'native',
    isBounded: false,
    compressor: level => {
      const encoder = new addon.Encoder(level)
      return bytes => encoder.encodeSync(asBuffer(bytes))
    },
    decompress: frame => decoder.decodeSync(asBuffer(frame)),
  }
}

const asBuffer = (bytes: Bytes): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/** The Emscripten module inside `@bokuweb/zstd-wasm`: its own entry can only be started asynchronously. */
interface EmscriptenModule {
  instantiateWasm?: (imports: object, receive: (instance: object) => unknown) => unknown
  init(): unknown
  readonly calledRun?: boolean
  readonly HEAPU8: Bytes
  _malloc(length: number): number
  _free(pointer: number): void
  _ZSTD_isError(result: number): number
  _ZSTD_compressBound(length: number): number
  _ZSTD_createCCtx(): number
  _ZSTD_compress_usingDict(
    ...args: [
      context: number,
      to: number,
      room: number,
      from: number,
      length: number,
      dictionary: number,
      dictionaryLength: number,
      level: number,
    ]
  ): number
  _ZSTD_decompress(to: number, room: number, from: number, length: number): number
}

declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => object
}

const loadWasm = (): ZstdEngine => ({
  name: 'wasm',
  isBounded: true,
  compressor: level => bytes => {
    const { zstd, context } = startWasm()
    return transform(zstd, bytes, zstd._ZSTD_compressBound(bytes.length), (to, room, from) =>
      zstd._ZSTD_compress_usingDict(context, to, room, from, bytes.length, 0, 0, level),
    )
  },
  decompress: (frame, plainLengthBytes) => {
    const { zstd } = startWasm()
    return transform(zstd, frame, plainLengthBytes, (to, room, from) =>
      zstd._ZSTD_decompress(to, room, from, frame.length),
    )
  },
})

/** The one instance of this thread: Emscripten's module can be started only once. */
let started: { readonly zstd: EmscriptenModule; readonly context: number } | undefined

/** Compiles and starts the module without waiting, which its hook for instantiation allows. */
const startWasm = (): NonNullable<typeof started> => {
  if (started !== undefined) return started
  const folder = dirname(require.resolve('@bokuweb/zstd-wasm'))
  const { Module: zstd } = require(join(folder, 'zstd.js')) as { Module: EmscriptenModule }
  if (zstd.calledRun !== true) {
    zstd.instantiateWasm = (imports, receive) =>
      receive(new WebAssembly.Instance(new WebAssembly.Module(readFileSync(join(folder, 'zstd.wasm'))), imports))
    zstd.init()
  }
  started = { zstd, context: zstd._ZSTD_createCCtx() }
  return started
}

const transform = (
  zstd: EmscriptenModule,
  bytes: Bytes,
  room: number,
  work: (to: number, room: number, from: number) => number,
): Bytes => {
  const from = zstd._malloc(bytes.length + room + 1)
  if (from === 0) throw new RangeError(`no memory for ${bytes.length + room} bytes`)
  try {
    zstd.HEAPU8.set(bytes, from)
    const to = from + bytes.length
    const length = work(to, room, from)
    if (zstd._ZSTD_isError(length) !== 0) throw new Error(`zstd error ${length | 0}`)
    return zstd.HEAPU8.slice(to, to + length)
  } finally {
    zstd._free(from)
  }
}
