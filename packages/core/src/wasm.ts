/**
 * WebAssembly kernels over one shared memory. `@types/node` 20 does not declare the `WebAssembly`
 * namespace and `lib.dom` would let browser globals in, so the little we use is typed here.
 *
 * Every kernel imports its memory (`env.memory`) instead of having one of its own: the chunker, the
 * compressors and the ciphers of a worker all work on the bytes where they were read, and the main
 * thread sees the same bytes without a copy.
 *
 * @module
 */
import type { Bytes } from './bytes.ts'
import { GranaryError } from './errors.ts'

/** Bytes in one page of linear memory. */
export const WASM_PAGE_BYTES = 65_536

/** Linear memory that threads share. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer
  grow(pages: number): number
}

declare const WebAssembly: {
  readonly Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => WasmMemory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports?: object) => { readonly exports: unknown }
}

/** Where the constants of kernels end and the arena begins; scripts/build-wasm.mjs gives each kernel its part below. */
const ARENA_OFFSET = 1024 * 1024

/** Places in an arena start at multiples of this, a cache line. */
const ALIGN_BYTES = 64

/** A range of an arena's memory. `pointer` is what kernels take; `bytes` is a view on the same bytes. */
export interface ArenaSlice {
  readonly pointer: number
  readonly bytes: Bytes
}

/**
 * One shared memory and a bump allocator over it. Its size is fixed when it is made: nothing grows, so views stay valid.
 */
export class Arena {
  readonly memory: WasmMemory
  #next = ARENA_OFFSET
  readonly #end: number

  /** @param capacityBytes what `allocate` may give out in all, at most 4 GiB less 1 MiB */
  constructor(capacityBytes: number) {
    const pages = Math.ceil((ARENA_OFFSET + capacityBytes) / WASM_PAGE_BYTES)
    if (!(capacityBytes >= 0 && pages <= 65_536)) {
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `arena of ${capacityBytes} bytes: expected 0 to 4293918720`, {
        detail: { capacityBytes },
      })
    }
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
    this.#end = pages * WASM_PAGE_BYTES
  }

  /** Gives out `length` bytes, zero at first, never taken back. @throws GranaryError `GRANARY_LIMIT` when the arena is full */
  allocate(length: number): ArenaSlice {
    const pointer = this.#next
    const next = Math.ceil((pointer + length) / ALIGN_BYTES) * ALIGN_BYTES
    if (next > this.#end) {
      throw new GranaryError('GRANARY_LIMIT', `arena is full: ${length} bytes asked, ${this.#end - pointer} left`, {
        detail: { length, left: this.#end - pointer },
      })
    }
    this.#next = next
    return { pointer, bytes: new Uint8Array(this.memory.buffer, pointer, length) }
  }
}

/** A compiled kernel: compiled once, instantiated once per arena. */
export const compileKernel = <Exports>(base64: string): ((arena: Arena) => Exports) => {
  let module: object | undefined
  return arena => {
    module ??= new WebAssembly.Module(Buffer.from(base64, 'base64'))
    return new WebAssembly.Instance(module, { env: { memory: arena.memory, abort } }).exports as Exports
  }
}

const abort = (): never => {
  throw new Error('a WebAssembly kernel aborted: its arguments broke its contract')
}
