/**
 * Requests of the transmission phase, compact and extended.
 * Compact: magic u32, flags u16, command u16, cookie u64, offset u64, length u32.
 * Extended: the same with length u64.
 *
 * @see doc/proto.md, "Request message"; `extension-ext-header` branch, "Extended request message"
 * @module
 */
import type { Bytes } from '@granary/core'
import { FRAME_BYTES, MAGIC } from './constants.ts'
import { protocolError, readUint64, viewOf, writeUint64 } from './fields.ts'

/** A cookie as the two words it has on the wire: a number could not hold every value a peer may choose. */
export interface Cookie {
  readonly high: number
  readonly low: number
}

export interface Request {
  readonly flags: number
  readonly command: number
  readonly cookie: Cookie
  /** Exact below 2^53; beyond, only known to be larger. */
  readonly offset: number
  readonly length: number
}

export const requestBytes = (isExtended: boolean): number =>
  isExtended ? FRAME_BYTES.extendedRequest : FRAME_BYTES.request

export const encodeRequest = ({ flags, command, cookie, offset, length }: Request, isExtended: boolean): Bytes => {
  const bytes = new Uint8Array(requestBytes(isExtended))
  const view = viewOf(bytes)
  view.setUint32(0, isExtended ? MAGIC.extendedRequest : MAGIC.request)
  view.setUint16(4, flags)
  view.setUint16(6, command)
  view.setUint32(8, cookie.high)
  view.setUint32(12, cookie.low)
  writeUint64(view, 16, offset)
  if (isExtended) writeUint64(view, 24, length)
  else view.setUint32(24, length)
  return bytes
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the magic is wrong: nothing after it can be trusted */
export const decodeRequest = (bytes: Bytes, isExtended: boolean): Request => {
  const view = viewOf(bytes)
  const magic = view.getUint32(0)
  if (magic !== (isExtended ? MAGIC.extendedRequest : MAGIC.request))
    throw protocolError('a request begins with other bytes than its magic', { found: magic })
  return {
    flags: view.getUint16(4),
    command: view.getUint16(6),
    cookie: { high: view.getUint32(8), low: view.getUint32(12) },
    offset: readUint64(view, 16),
    length: isExtended ? readUint64(view, 24) : view.getUint32(24),
  }
}
