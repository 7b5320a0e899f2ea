/** Fields of NBD frames: big-endian integers and UTF-8 strings. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { MAX_STRING_BYTES } from './constants.ts'

const WORD = 2 ** 32
const encoder = new TextEncoder()

export const viewOf = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * A u64 as a number. Exact up to 2^53; beyond, only "larger than any disk" is promised,
 * which is all that a range check needs.
 */
export const readUint64 = (view: DataView, at: number): number => view.getUint32(at) * WORD + view.getUint32(at + 4)

/** Writes a whole number in [0, 2^53) as a u64. */
export const writeUint64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, Math.floor(value / WORD))
  view.setUint32(at + 4, value % WORD)
}

export const isMagic = (view: DataView, at: number, [high, low]: readonly [number, number]): boolean =>
  view.getUint32(at) === high && view.getUint32(at + 4) === low

export const writeMagic = (view: DataView, at: number, [high, low]: readonly [number, number]): void => {
  view.setUint32(at, high)
  view.setUint32(at + 4, low)
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the text is longer than 4096 bytes or has a NUL */
export const encodeText = (text: string, field: string): Bytes => {
  const bytes = encoder.encode(text)
  if (bytes.length <= MAX_STRING_BYTES && !text.includes('\0')) return bytes
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `${field}: expected at most ${MAX_STRING_BYTES} bytes of UTF-8 without NUL, got ${bytes.length}`,
    { detail: { argument: field, lengthBytes: bytes.length } },
  )
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the bytes are too many, not UTF-8, or have a NUL */
export const decodeText = (bytes: Bytes, field: string): string => {
  if (bytes.length <= MAX_STRING_BYTES && !bytes.includes(0)) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(unshared(bytes))
    } catch (cause) {
      throw new GranaryError('GRANARY_PROTOCOL', `${field} is not UTF-8`, { cause, detail: { field } })
    }
  }
  throw new GranaryError('GRANARY_PROTOCOL', `${field}: expected at most ${MAX_STRING_BYTES} bytes without NUL`, {
    detail: { field, lengthBytes: bytes.length },
  })
}

/** A message of the peer, made safe to print: never fails, at most 4096 bytes, no control characters. */
export const decodeMessage = (bytes: Bytes): string =>
  new TextDecoder()
    .decode(unshared(bytes.subarray(0, MAX_STRING_BYTES)))
    // oxlint-disable-next-line no-control-regex -- they are what is taken out
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim()

const unshared = (bytes: Bytes): Bytes => (bytes.buffer instanceof ArrayBuffer ? bytes : Uint8Array.from(bytes))

export const protocolError = (message: string, detail: Readonly<Record<string, string | number>> = {}): GranaryError =>
  new GranaryError('GRANARY_PROTOCOL', `NBD: ${message}`, { detail })
