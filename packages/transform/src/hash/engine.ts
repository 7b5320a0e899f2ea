/** What a BLAKE3 implementation offers; `blake3NativeEngine` and `blake3WasmEngine` are the two. @module */
import type { Bytes } from '@granary/core'

/** The three modes of BLAKE3 (BLAKE3 paper, section 2.3). */
export type Blake3Mode =
  | { readonly kind: 'hash' }
  | { readonly kind: 'keyed'; readonly key: Bytes }
  | { readonly kind: 'derive'; readonly context: string }

/** A hasher that is used over and over; its key is taken in once. Not for two calls at a time. */
export interface Blake3Hasher {
  /** The 32-byte hash of `parts`, one after another. The result is the receiver's own. */
  digestParts(parts: readonly Bytes[]): Bytes
}

export interface Blake3Engine {
  readonly name: 'native' | 'wasm'
  createHasher(mode: Blake3Mode): Blake3Hasher
}

/** Bytes in a BLAKE3 key, a chaining value and the usual hash. */
export const BLAKE3_BYTES = 32

/** Longest output, bytes. The format needs 256 at most. */
export const MAX_OUTPUT_BYTES = 65_536
