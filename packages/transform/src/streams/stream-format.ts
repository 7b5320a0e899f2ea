/**
 * The bytes of a sealed stream: a header, records, and an end record. Integers are big-endian.
 *
 * @see docs/formats/stream.md
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { COMMITMENT_BYTES, SALT_BYTES } from '../keys/object-keys.ts'
import type { Piece } from './piece.ts'
import { MAX_PIECE_BYTES } from './piece.ts'

const MAGIC = new TextEncoder().encode('GRANSTRM')
const VERSION = 1

/** Field offsets of the header, bytes. */
const HEADER = { magic: 0, version: 8, suite: 9, reserved: 10, salt: 12, commitment: 12 + SALT_BYTES } as const
export const HEADER_BYTES = HEADER.commitment + COMMITMENT_BYTES

/** Before each sealed record: its length, u32. */
export const PREFIX_BYTES = 4

/** Field offsets of what a record holds before the bytes of its piece. */
const RECORD = { kind: 0, compression: 1, offset: 2, length: 10 } as const
export const RECORD_HEADER_BYTES = 18

/** Longest record before it is sealed, bytes. */
export const MAX_RECORD_BYTES = RECORD_HEADER_BYTES + MAX_PIECE_BYTES

/** Kinds of records. */
const KIND = { end: 0, data: 1, zero: 2 } as const

export interface StreamHeader {
  readonly suiteId: number
  readonly salt: Bytes
  readonly commitment: Bytes
}

export const encodeStreamHeader = ({ suiteId, salt, commitment }: StreamHeader): Bytes => {
  const bytes = new Uint8Array(HEADER_BYTES)
  bytes.set(MAGIC, HEADER.magic)
  bytes[HEADER.version] = VERSION
  bytes[HEADER.suite] = suiteId
  bytes.set(salt, HEADER.salt)
  bytes.set(commitment, HEADER.commitment)
  return bytes
}

/** @throws GranaryError `GRANARY_CORRUPT` when these are not the first bytes of a stream, `GRANARY_UNSUPPORTED` of a newer one */
export const decodeStreamHeader = (bytes: Bytes): StreamHeader => {
  if (Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) !== 0) throw corruptStream('another format')
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  const version = view.getUint8(HEADER.version)
  if (version !== VERSION || view.getUint16(HEADER.reserved) !== 0) {
    throw new GranaryError('GRANARY_UNSUPPORTED', `sealed stream: version ${version}, this program reads ${VERSION}`, {
      detail: { version },
    })
  }
  return {
    suiteId: view.getUint8(HEADER.suite),
    salt: bytes.slice(HEADER.salt, HEADER.commitment),
    commitment: bytes.slice(HEADER.commitment, HEADER_BYTES),
  }
}

/** A record: a piece, or the end of the stream with its length. */
export type StreamRecord = Piece | { readonly kind: 'end'; readonly length: number }

export const encodeRecord = (record: StreamRecord): Bytes => {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + (record.kind === 'data' ? record.bytes.length : 0))
  const view = new DataView(bytes.buffer)
  view.setUint8(RECORD.kind, KIND[record.kind])
  view.setBigUint64(RECORD.length, BigInt(record.length))
  if (record.kind !== 'end') view.setBigUint64(RECORD.offset, BigInt(record.offset))
  if (record.kind === 'data') {
    view.setUint8(RECORD.compression, record.compression ?? 0)
    bytes.set(record.bytes, RECORD_HEADER_BYTES)
  }
  return bytes
}

/** @throws GranaryError `GRANARY_CORRUPT` when it is no record */
export const decodeRecord = (bytes: Bytes): StreamRecord => {
  if (bytes.length < RECORD_HEADER_BYTES) throw corruptStream(`a record of ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const offset = Number(view.getBigUint64(RECORD.offset))
  const length = Number(view.getBigUint64(RECORD.length))
  if (!Number.isSafeInteger(offset + length)) throw corruptStream('a record beyond 2^53')
  const kind = view.getUint8(RECORD.kind)
  if (kind === KIND.data && length <= MAX_PIECE_BYTES) {
    const compression = view.getUint8(RECORD.compression)
    return { kind: 'data', offset, length, bytes: bytes.subarray(RECORD_HEADER_BYTES), compression }
  }
  if (bytes.length === RECORD_HEADER_BYTES && kind === KIND.zero) return { kind: 'zero', offset, length }
  if (bytes.length === RECORD_HEADER_BYTES && kind === KIND.end) return { kind: 'end', length }
  throw corruptStream('a record that is not one')
}

export const corruptStream = (found: string): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `sealed stream: found ${found}`, { detail: { found } })
