/**
 * zstd in WebAssembly, for every platform: the Emscripten module inside `@bokuweb/zstd-wasm`, whose own entry can only be
 * started asynchronously.
 *
 * @see docs/decisions/0003-zstd.md
 * @module
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Bytes } from '../bytes.ts'
import type { ZstdEngine } from './zstd-engine.ts'

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

export const loadZstdWasm = (): ZstdEngine => ({
  name: 'wasm',
  isBounded: true,
  compressor: level => bytes => {
    const { zstd, context } = start()
    const room = zstd._ZSTD_compressBound(bytes.length)
    const compress: Work = (to, from) =>
      zstd._ZSTD_compress_usingDict(context, to, room, from, bytes.length, 0, 0, level)
    return work(zstd, { bytes, room, compute: compress, take: result => result.slice() })
  },
  decompress: (frame, target) => {
    const { zstd } = start()
    const room = target.length
    const decompress: Work = (to, from) => zstd._ZSTD_decompress(to, room, from, frame.length)
    const take = (plain: Bytes): number => {
      target.set(plain)
      return plain.length
    }
    return work(zstd, { bytes: frame, room, compute: decompress, take })
  },
})

/** The one instance of this thread: Emscripten's module can be started only once. */
let started: { readonly zstd: EmscriptenModule; readonly context: number } | undefined

/** Compiles and starts the module without waiting, which its hook for instantiation allows. */
const start = (): NonNullable<typeof started> => {
  if (started !== undefined) return started
  const require = createRequire(import.meta.url)
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

/** Gives the length of the result, or an error, for input and room in the module's memory. */
type Work = (to: number, from: number) => number

interface Call<Result> {
  readonly bytes: Bytes
  readonly room: number
  readonly compute: Work
  /** Takes the result out of memory that is freed next. */
  readonly take: (result: Bytes) => Result
}

const work = <Result>(zstd: EmscriptenModule, { bytes, room, compute, take }: Call<Result>): Result => {
  const from = zstd._malloc(bytes.length + room + 1)
  if (from === 0) throw new RangeError(`no memory for ${bytes.length + room} bytes`)
  try {
    zstd.HEAPU8.set(bytes, from)
    const to = from + bytes.length
    const length = compute(to, from)
    if (zstd._ZSTD_isError(length) !== 0) throw new Error(`zstd error ${length | 0}`)
    return take(zstd.HEAPU8.subarray(to, to + length))
  } finally {
    zstd._free(from)
  }
}
