/** Chunking of byte streams: an async-iterable stage, and a Node Transform that does the same. @module */
import { Transform } from 'node:stream'
import { Arena, GranaryError } from '@granary/core'
import type { AbortOptions, ArenaSlice, Bytes, ByteSource } from '@granary/core'
import { chunkerArenaBytes, createChunker } from './chunker.ts'
import { DATA, WINDOW_BYTES } from './cuts.ts'
import type { Cuts, WindowCutter } from './cuts.ts'
import type { ChunkerParameters } from './parameters.ts'

/** What is collected of a stream before it is cut, bytes. */
const BATCH_BYTES = 1024 * 1024

/** A piece of a stream. Pieces come in order and cover it. */
export type Chunk =
  /** `bytes` is owned by the receiver. */
  | { readonly kind: 'data'; readonly offset: number; readonly length: number; readonly bytes: Bytes }
  | { readonly kind: 'zero'; readonly offset: number; readonly length: number }

export interface ChunkOptions extends AbortOptions {
  readonly parameters: ChunkerParameters
  /** 32 bytes; equal content is cut alike only under equal secrets. */
  readonly secret: Bytes
  /**
   * Cuts at every multiple of 32 MiB, as disks are cut: a disk that comes as a stream then shares its chunks with the same
   * disk read at random. @default true, for `fastcdc` false
   */
  readonly isDisk?: boolean
}

/** Bytes of memory a stage needs beside its chunker's: a batch, and what may be held back. Its source's items come on top. */
export const chunkStageBytes = (parameters: ChunkerParameters): number =>
  chunkerArenaBytes(parameters) + BATCH_BYTES + 2 * parameters.maxBytes

/**
 * A stage that cuts a stream into chunks. However the bytes are split, the chunks are the same.
 * Memory: `chunkStageBytes`, one item of the source, and the chunk given out.
 *
 * @example for await (const chunk of chunk({ parameters: parseChunker('grid'), secret })(createReadStream(path))) await put(chunk)
 */
export const chunk = (options: ChunkOptions): ((source: ByteSource) => AsyncGenerator<Chunk, void, undefined>) =>
  async function* (source) {
    const { signal } = options
    signal?.throwIfAborted()
    const cutter = new StreamCutter(options)
    for await (const bytes of source) {
      signal?.throwIfAborted()
      for (const piece of cutter.push(bytes)) {
        yield piece
        signal?.throwIfAborted()
      }
    }
    yield* cutter.finish()
  }

/**
 * The same as a Node Transform: bytes in, `Chunk` objects out.
 *
 * @example await pipeline(createReadStream(path), chunkTransform({ parameters, secret }), store, { signal })
 */
export const chunkTransform = ({ signal, ...options }: ChunkOptions): Transform => {
  const cutter = new StreamCutter(options)
  return new Transform({
    readableObjectMode: true,
    ...(signal === undefined ? {} : { signal }),
    transform(bytes: Bytes, _encoding, done) {
      for (const piece of cutter.push(bytes)) this.push(piece)
      done()
    },
    flush(done) {
      for (const piece of cutter.finish()) this.push(piece)
      done()
    },
  })
}

/** Collects a stream in an arena and cuts it batch by batch. */
class StreamCutter {
  readonly #cutter: WindowCutter
  readonly #buffer: ArenaSlice
  readonly #windowBytes: number
  /** Bytes in the buffer: first those the cutter holds back, then those it has not seen. */
  #filled = 0
  #held = 0
  /** Bytes of the stream, and of the window, that the cutter has seen. */
  #seen = 0
  #windowSeen = 0
  /** Where in the stream the next piece begins. */
  #pieceAt = 0

  constructor({ parameters, secret, isDisk = parameters.strategy !== 'fastcdc' }: ChunkOptions) {
    const arena = new Arena(chunkStageBytes(parameters))
    const chunker = createChunker(parameters, secret, { arena })
    this.#cutter = chunker.openCutter()
    this.#buffer = arena.allocate(BATCH_BYTES + chunker.maxPendingBytes)
    this.#windowBytes = isDisk ? WINDOW_BYTES : Infinity
  }

  *push(bytes: Bytes): Generator<Chunk, void, undefined> {
    if (!(bytes instanceof Uint8Array)) {
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `a stream of bytes gave an item of type ${typeof bytes}`, {
        detail: { argument: 'source', expected: 'Uint8Array', got: typeof bytes },
      })
    }
    for (let at = 0; at < bytes.length;) {
      const batchEnd = this.#held + Math.min(BATCH_BYTES, this.#windowBytes - this.#windowSeen)
      const length = Math.min(bytes.length - at, batchEnd - this.#filled)
      this.#buffer.bytes.set(bytes.subarray(at, at + length), this.#filled)
      this.#filled += length
      at += length
      if (this.#filled === batchEnd) yield* this.#cut()
    }
  }

  *finish(): Generator<Chunk, void, undefined> {
    yield* this.#cut()
    yield* this.#pieces(this.#cutter.finish())
  }

  /** Cuts what was collected, and keeps what the cutter holds back: always the last that was collected. */
  *#cut(): Generator<Chunk, void, undefined> {
    const { pointer, bytes } = this.#buffer
    const fresh = this.#filled - this.#held
    this.#seen += fresh
    this.#windowSeen += fresh
    yield* this.#pieces(this.#cutter.push(pointer + this.#held, fresh))
    if (this.#windowSeen === this.#windowBytes) {
      yield* this.#pieces(this.#cutter.finish())
      this.#windowSeen = 0
    }
    this.#held = this.#cutter.pendingBytes
    bytes.copyWithin(0, this.#filled - this.#held, this.#filled)
    this.#filled = this.#held
  }

  *#pieces({ count, lengths, kinds }: Cuts): Generator<Chunk, void, undefined> {
    const bufferAt = this.#seen - this.#filled
    for (let piece = 0; piece < count; piece++) {
      const offset = this.#pieceAt
      const length = lengths[piece] as number
      this.#pieceAt += length
      if (kinds[piece] === DATA) {
        const place = offset - bufferAt
        yield {
          kind: 'data',
          offset,
          length,
          bytes: new Uint8Array(this.#buffer.bytes.subarray(place, place + length)),
        }
      } else yield { kind: 'zero', offset, length }
    }
  }
}
