/**
 * Sealing as a stage: pieces or plain bytes become a stream of bytes whose order, completeness and every byte are
 * authenticated.
 *
 * @see docs/formats/stream.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { Transform } from 'node:stream'
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { SALT_BYTES } from '../keys/object-keys.ts'
import type { Sealer, Suite } from '../suites/suite.ts'
import { DEFAULT_SUITE, suiteByName } from '../suites/table.ts'
import { ByteQueue } from './byte-queue.ts'
import { PieceReader } from './piece.ts'
import type { Piece, StageInput } from './piece.ts'
import { runAsStage, runAsTransform } from './stage.ts'
import type { Machine, Stage } from './stage.ts'
import {
  HEADER_BYTES,
  PREFIX_BYTES,
  corruptStream,
  decodeRecord,
  encodeRecord,
  encodeStreamHeader,
} from './stream-format.ts'
import type { StreamRecord } from './stream-format.ts'
import { associatedOf, openStream, readPrefix, streamKeys } from './stream-keys.ts'
import type { OpenedStream } from './stream-keys.ts'

export interface SealOptions extends AbortOptions {
  /** 32 bytes. */
  readonly key: Bytes
  /** Name of the suite. @default 'aes-256-gcm' */
  readonly suite?: string
}

/**
 * A stage that seals a stream under a key. The same key may seal any number of streams. Plain bytes are sealed in groups of
 * 128 KiB. Memory: one piece and its sealed form.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the key is not 32 bytes, `GRANARY_UNSUPPORTED` when the suite is unknown
 * @throws GranaryError `GRANARY_LIMIT` when the stream is longer than one key may seal
 * @example await pipeline(disk, chunkTransform(options), compressTransform(), sealTransform({ key }), file)
 */
export const seal = (options: SealOptions): Stage<StageInput, Bytes> => {
  const create = sealMachine(options)
  return runAsStage(create, options)
}

/** The same as a Node Transform: objects or bytes in, bytes out. */
export const sealTransform = (options: SealOptions): Transform => runAsTransform(sealMachine(options)(), options)

export interface OpenOptions extends AbortOptions {
  /** The key the stream was sealed with, 32 bytes. */
  readonly key: Bytes
}

/**
 * A stage that opens a sealed stream, given as bytes of any split: the pieces that were sealed, in order. Not a byte of a piece
 * comes out before its tag was found right; that the stream was complete is known when the stage ends without an error.
 * Memory: one record.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` when it was sealed with another key
 * @throws GranaryError `GRANARY_AUTHENTICATION` when a record was changed, moved, left out or repeated
 * @throws GranaryError `GRANARY_CORRUPT` when it is no sealed stream, ends early or goes on after its end
 */
export const open = (options: OpenOptions): Stage<Bytes, Piece> => {
  checkLength('key', options.key, 32)
  return runAsStage(() => new OpenMachine(options.key), options)
}

/** The same as a Node Transform: bytes in, pieces out. */
export const openTransform = (options: OpenOptions): Transform => {
  checkLength('key', options.key, 32)
  return runAsTransform(new OpenMachine(options.key), options)
}

/** Checks the options now; each call of what it gives begins a stream of its own, with a salt of its own. */
const sealMachine = ({ key, suite: suiteName = DEFAULT_SUITE }: SealOptions): (() => Machine<StageInput, Bytes>) => {
  checkLength('key', key, 32)
  const suite = suiteByName(suiteName)
  return () => new SealMachine(key, suite)
}

class SealMachine implements Machine<StageInput, Bytes> {
  readonly #suite: Suite
  readonly #header: Bytes
  readonly #sealer: Sealer
  readonly #reader = new PieceReader()
  #ordinal = 0
  #position = 0

  constructor(key: Bytes, suite: Suite) {
    const salt = new Uint8Array(randomBytes(SALT_BYTES))
    const keys = streamKeys(key, salt, suite)
    this.#suite = suite
    this.#header = encodeStreamHeader({ suiteId: suite.id, salt, commitment: keys.commitment })
    this.#sealer = suite.open(keys)
  }

  *push(item: StageInput): Generator<Bytes, void, undefined> {
    for (const piece of this.#reader.push(item)) yield* this.#piece(piece)
  }

  *finish(): Generator<Bytes, void, undefined> {
    for (const piece of this.#reader.finish()) yield* this.#piece(piece)
    yield* this.#record({ kind: 'end', length: this.#position })
  }

  *#piece(piece: Piece): Generator<Bytes, void, undefined> {
    if (piece.offset !== this.#position) throw outOfOrder(piece.offset, this.#position)
    this.#position += piece.length
    yield* this.#record(piece)
  }

  *#record(record: StreamRecord): Generator<Bytes, void, undefined> {
    if (this.#ordinal === 0) yield this.#header
    const plain = encodeRecord(record)
    const sealedBytes = plain.length + this.#suite.tagBytes
    const framed = new Uint8Array(PREFIX_BYTES + sealedBytes)
    new DataView(framed.buffer).setUint32(0, sealedBytes)
    const associated = associatedOf(this.#header, sealedBytes)
    this.#sealer.sealInto(this.#ordinal++, associated, plain, framed.subarray(PREFIX_BYTES))
    yield framed
  }
}

class OpenMachine implements Machine<Bytes, Piece> {
  readonly #key: Bytes
  readonly #queue = new ByteQueue()
  #stream: OpenedStream | undefined
  /** Length of the record that is being collected, once its prefix was read. */
  #sealedBytes: number | undefined
  #ordinal = 0
  #position = 0
  #isEnded = false

  constructor(key: Bytes) {
    this.#key = key
  }

  *push(bytes: Bytes): Generator<Piece, void, undefined> {
    if (bytes.length > 0 && this.#isEnded) throw corruptStream('bytes after its end')
    this.#queue.push(bytes)
    while (this.#hasNext()) {
      const record = this.#next()
      if (record?.kind === 'end') this.#end(record.length)
      else if (record !== undefined) yield this.#accept(record)
    }
  }

  finish(): Piece[] {
    if (this.#isEnded) return []
    throw corruptStream(`its end after ${this.#position} bytes, before its end record: it was cut off`)
  }

  #hasNext(): boolean {
    const needed = this.#stream === undefined ? HEADER_BYTES : (this.#sealedBytes ?? PREFIX_BYTES)
    return !this.#isEnded && this.#queue.length >= needed
  }

  /** Takes the next part from the queue: the header, a prefix, or a record, which is given back. */
  #next(): StreamRecord | undefined {
    if (this.#stream === undefined) {
      this.#stream = openStream(this.#key, this.#queue.take(HEADER_BYTES))
      return undefined
    }
    const { header, suite, sealer } = this.#stream
    if (this.#sealedBytes === undefined) {
      this.#sealedBytes = readPrefix(this.#queue.take(PREFIX_BYTES), suite)
      return undefined
    }
    const sealed = this.#queue.take(this.#sealedBytes)
    this.#sealedBytes = undefined
    return decodeRecord(sealer.open(this.#ordinal++, associatedOf(header, sealed.length), sealed))
  }

  #accept(piece: Piece): Piece {
    if (piece.offset !== this.#position) throw corruptStream(`a piece at ${piece.offset} instead of ${this.#position}`)
    this.#position += piece.length
    return piece
  }

  #end(length: number): void {
    if (length !== this.#position) throw corruptStream(`an end at ${length} instead of ${this.#position}`)
    this.#isEnded = true
    if (this.#queue.length > 0) throw corruptStream('bytes after its end')
  }
}

const outOfOrder = (offset: number, expected: number): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `a piece begins at ${offset}, the one before ended at ${expected}`, {
    detail: { argument: 'source', offset, expected },
  })
