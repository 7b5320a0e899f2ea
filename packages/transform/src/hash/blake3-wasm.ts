/**
 * BLAKE3 in WebAssembly SIMD: where no native binary fits, and for outputs longer than 32 bytes.
 *
 * @see assembly/blake3.ts, and "BLAKE3: one function, fast everywhere", version 20211102
 * @module
 */
import { Arena, compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import { wasmBase64 } from '../blake3.wasm.ts'
import type { Blake3Engine, Blake3Hasher, Blake3Mode } from './engine.ts'
import { BLAKE3_BYTES, MAX_OUTPUT_BYTES } from './engine.ts'

interface Kernel {
  readonly STATE_BYTES: { readonly value: number }
  init(state: number, key: number, flags: number): void
  update(state: number, input: number, length: number): void
  finish(state: number, out: number, length: number): void
}

/** Flags of the modes (BLAKE3 paper, table 3). */
const KEYED_HASH = 1 << 4
const DERIVE_KEY_CONTEXT = 1 << 5
const DERIVE_KEY_MATERIAL = 1 << 6

/** Bytes of input copied into the arena at a time, and room for the longest output. */
const WINDOW_BYTES = MAX_OUTPUT_BYTES

/** The initial value, which is SHA-256's, as little-endian words (section 2.2, table 1). */
const INITIAL_VALUE: Bytes = Uint8Array.from(
  Buffer.from('67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b', 'hex'),
)

const instantiate = compileKernel<Kernel>(wasmBase64)

/** A hasher that can also write more than 32 bytes, up to MAX_OUTPUT_BYTES. */
export interface Blake3WasmHasher extends Blake3Hasher {
  digestParts(parts: readonly Bytes[], lengthBytes?: number): Bytes
}

export interface Blake3WasmEngine extends Blake3Engine {
  readonly name: 'wasm'
  createHasher(mode: Blake3Mode): Blake3WasmHasher
}

/**
 * An engine over an arena. Inputs that lie in that arena are hashed in place, others are copied through a 64 KiB window.
 * All hashers of an engine share one state: each call begins by taking its key in, which is a copy of 32 bytes.
 *
 * @param arena default: one of its own, just large enough
 */
export const createBlake3Wasm = (arena: Arena = new Arena(WINDOW_BYTES + 8192)): Blake3WasmEngine => {
  const kernel = instantiate(arena)
  const state = arena.allocate(kernel.STATE_BYTES.value)
  const window = arena.allocate(WINDOW_BYTES)

  const digest = (key: Bytes, flags: number, parts: readonly Bytes[], lengthBytes: number): Bytes => {
    window.bytes.set(key)
    kernel.init(state.pointer, window.pointer, flags)
    for (const part of parts) update(part)
    kernel.finish(state.pointer, window.pointer, lengthBytes)
    return window.bytes.slice(0, lengthBytes)
  }
  const update = (bytes: Bytes): void => {
    if (bytes.buffer === arena.memory.buffer) {
      kernel.update(state.pointer, bytes.byteOffset, bytes.length)
      return
    }
    for (let at = 0; at < bytes.length; at += WINDOW_BYTES) {
      const piece = bytes.subarray(at, at + WINDOW_BYTES)
      window.bytes.set(piece)
      kernel.update(state.pointer, window.pointer, piece.length)
    }
  }

  const createHasher = (mode: Blake3Mode): Blake3WasmHasher => {
    const { key, flags } = keyAndFlags(mode, digest)
    return { digestParts: (parts, lengthBytes = BLAKE3_BYTES) => digest(key, flags, parts, lengthBytes) }
  }
  return { name: 'wasm', createHasher }
}

type Digest = (key: Bytes, flags: number, parts: readonly Bytes[], lengthBytes: number) => Bytes

/** The key words and flags of a mode (section 2.3): derive_key's key is the hash of its context. */
const keyAndFlags = (mode: Blake3Mode, digest: Digest): { key: Bytes; flags: number } => {
  switch (mode.kind) {
    case 'hash':
      return { key: INITIAL_VALUE, flags: 0 }
    case 'keyed':
      return { key: mode.key.slice(), flags: KEYED_HASH }
    case 'derive': {
      const context = new TextEncoder().encode(mode.context)
      return { key: digest(INITIAL_VALUE, DERIVE_KEY_CONTEXT, [context], BLAKE3_BYTES), flags: DERIVE_KEY_MATERIAL }
    }
  }
}
