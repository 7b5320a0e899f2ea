/**
 * zstd in WebAssembly, for platforms without a native part, over the module that `@bokuweb/zstd-wasm` 0.0.27 carries.
 * The package's own JavaScript makes a new context and new memory for every call, believes what a frame says of its size,
 * and is one for the whole process; used directly, the module writes no more than there is room for.
 *
 * @see docs/decisions/0030-qcow2-zstd.md
 * @module
 */
import { readFile } from 'node:fs/promises'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { ZstdCodec } from './zstd-codec.ts'

/** What the module exports, under the names its linker gave it; the comments have those of zstd.h. */
interface ZstdExports {
  /** Linear memory. */
  readonly f: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  /** Constructors. */
  readonly g: () => void
  /** ZSTD_isError */
  readonly h: (code: number) => number
  /** ZSTD_compressBound */
  readonly i: (sourceBytes: number) => number
  /** ZSTD_compress(target, targetBytes, source, sourceBytes, level) */
  readonly m: (target: number, targetBytes: number, source: number, sourceBytes: number, level: number) => number
  /** ZSTD_createDCtx */
  readonly n: () => number
  /** ZSTD_decompress_usingDict(context, target, targetBytes, source, sourceBytes, dictionary, dictionaryBytes) */
  readonly q: (c: number, t: number, tBytes: number, s: number, sBytes: number, d: number, dBytes: number) => number
  /** malloc */
  readonly s: (bytes: number) => number
  /** free */
  readonly t: (pointer: number) => void
}

declare const WebAssembly: {
  instantiate(bytes: Bytes, imports: object): Promise<{ readonly instance: { readonly exports: unknown } }>
}

const PAGE_BYTES = 65_536

const failed = (doing: string): GranaryError => new GranaryError('GRANARY_CORRUPT', `zstd: ${doing} failed`)

/** A scratch range of the module's memory that grows with what is asked of it. */
const scratch = (zstd: ZstdExports): ((bytes: number) => number) => {
  let pointer = 0
  let capacity = 0
  return bytes => {
    if (bytes <= capacity) return pointer
    if (pointer !== 0) zstd.t(pointer)
    pointer = zstd.s(bytes)
    capacity = pointer === 0 ? 0 : bytes
    if (pointer === 0) throw new GranaryError('GRANARY_LIMIT', `zstd: no memory for ${bytes} bytes`)
    return pointer
  }
}

const instantiate = async (): Promise<ZstdExports> => {
  const bytes = await readFile(new URL('./zstd.wasm', import.meta.resolve('@bokuweb/zstd-wasm')))
  let zstd: ZstdExports | undefined
  const abort = (): never => {
    throw failed('the WebAssembly module')
  }
  /** emscripten_resize_heap. */
  const resize = (wantedBytes: number): number => {
    const memory = (zstd as ZstdExports).f
    memory.grow(Math.max(0, Math.ceil(((wantedBytes >>> 0) - memory.buffer.byteLength) / PAGE_BYTES)))
    return 1
  }
  const nothing = (): number => 0
  const { instance } = await WebAssembly.instantiate(bytes, {
    a: { a: abort, b: nothing, c: abort, d: nothing, e: resize },
  })
  zstd = instance.exports as ZstdExports
  zstd.g()
  return zstd
}

/** The implementation in WebAssembly. */
export const wasmZstdCodec = async (): Promise<ZstdCodec> => {
  const zstd = await instantiate()
  const context = zstd.n()
  const source = scratch(zstd)
  const target = scratch(zstd)
  const memory = (): Bytes => new Uint8Array(zstd.f.buffer)
  return {
    name: 'wasm',
    decompress(frame, into) {
      const from = source(frame.length)
      const to = target(into.length)
      memory().set(frame, from)
      const length = zstd.q(context, to, into.length, from, frame.length, 0, 0)
      if (zstd.h(length) !== 0 || length < 0 || length > into.length) throw failed('decompressing')
      into.set(memory().subarray(to, to + length))
      return length
    },
    compress(bytes, level) {
      const from = source(bytes.length)
      const room = zstd.i(bytes.length)
      const to = target(room)
      memory().set(bytes, from)
      const length = zstd.m(to, room, from, bytes.length, level)
      if (zstd.h(length) !== 0 || length < 0 || length > room) throw failed('compressing')
      return memory().slice(to, to + length)
    },
  }
}
