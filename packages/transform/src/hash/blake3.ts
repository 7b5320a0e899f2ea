/**
 * BLAKE3 for the rest of the package: the fastest implementation this machine has, chosen once.
 *
 * @see "BLAKE3: one function, fast everywhere", version 20211102
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { loadBlake3Native } from './blake3-native.ts'
import { createBlake3Wasm } from './blake3-wasm.ts'
import type { Blake3WasmEngine } from './blake3-wasm.ts'
import type { Blake3Engine, Blake3Mode } from './engine.ts'
import { BLAKE3_BYTES, MAX_OUTPUT_BYTES } from './engine.ts'

let wasm: Blake3WasmEngine | undefined
let fastest: Blake3Engine | undefined

/** The WebAssembly engine of this thread, made when first asked for. */
const wasmEngine = (): Blake3WasmEngine => (wasm ??= createBlake3Wasm())

/** The engine used when none is given: native where its binary fits, else WebAssembly. */
export const defaultBlake3Engine = (): Blake3Engine => (fastest ??= loadBlake3Native() ?? wasmEngine())

export interface Blake3Options {
  /** Makes it the keyed hash. 32 bytes. */
  readonly key?: Bytes
  /** Length of the output, 1 to 65,536 bytes. @default 32 */
  readonly lengthBytes?: number
  /** @default the fastest on this machine */
  readonly engine?: Blake3Engine
}

/**
 * The BLAKE3 hash of `bytes`, keyed when `key` is given.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the key is not 32 bytes or the length is out of range
 */
export const blake3 = (bytes: Bytes, { key, lengthBytes = BLAKE3_BYTES, engine }: Blake3Options = {}): Bytes => {
  if (key !== undefined) checkLength('key', key, BLAKE3_BYTES)
  return digest(key === undefined ? { kind: 'hash' } : { kind: 'keyed', key }, bytes, { lengthBytes, engine })
}

/**
 * A key derived from `material` for one purpose (BLAKE3's derive_key mode, section 2.3). A shorter key is a prefix of a
 * longer one of the same context and material.
 *
 * @param context hard-coded, globally unique text that names the purpose; docs/formats/keys.md lists ours
 * @param lengthBytes 1 to 65,536
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the length is out of range
 */
export const deriveKey = (context: string, material: Bytes, lengthBytes: number = BLAKE3_BYTES): Bytes =>
  digest({ kind: 'derive', context }, material, { lengthBytes, engine: undefined })

/** One keyed hasher, to be kept by whoever hashes much: making a native one costs as much as hashing 20 KiB. */
export interface KeyedHasher {
  /** The 32-byte keyed hash of `bytes`. */
  digest(bytes: Bytes): Bytes
  /** The 32-byte keyed hash of `parts`, one after another. */
  digestParts(parts: readonly Bytes[]): Bytes
}

/**
 * A hasher for many messages under one key.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the key is not 32 bytes
 */
export const createKeyedHasher = (key: Bytes, engine: Blake3Engine = defaultBlake3Engine()): KeyedHasher => {
  checkLength('key', key, BLAKE3_BYTES)
  const hasher = engine.createHasher({ kind: 'keyed', key })
  return { digest: bytes => hasher.digestParts([bytes]), digestParts: parts => hasher.digestParts(parts) }
}

interface DigestOptions {
  readonly lengthBytes: number
  readonly engine: Blake3Engine | undefined
}

const digest = (mode: Blake3Mode, bytes: Bytes, { lengthBytes, engine }: DigestOptions): Bytes => {
  if (!(Number.isInteger(lengthBytes) && lengthBytes >= 1 && lengthBytes <= MAX_OUTPUT_BYTES)) {
    const expected = `1 to ${MAX_OUTPUT_BYTES}`
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `lengthBytes: expected ${expected}, got ${lengthBytes}`, {
      detail: { argument: 'lengthBytes', expected, got: lengthBytes },
    })
  }
  if (lengthBytes === BLAKE3_BYTES) return (engine ?? defaultBlake3Engine()).createHasher(mode).digestParts([bytes])
  // The native addon gives 32 bytes only.
  return wasmEngine().createHasher(mode).digestParts([bytes], lengthBytes)
}
