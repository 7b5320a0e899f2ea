/** The three shapes of a `put`'s content, as one. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import type { PutSource } from './backend.ts'

/** Pieces of `source` in order, ended by an abort; the source's iterator is closed in every case. */
export async function* pieces(source: PutSource, { signal }: AbortOptions = {}): AsyncGenerator<Bytes, void, void> {
  signal?.throwIfAborted()
  if (source instanceof Uint8Array) {
    yield source
    return
  }
  for await (const piece of source) {
    signal?.throwIfAborted()
    if (piece.length > 0) yield piece
  }
  signal?.throwIfAborted()
}
