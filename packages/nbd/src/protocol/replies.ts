/**
 * Heads of the replies of the transmission phase.
 * Simple: magic u32, error u32, cookie u64.
 * Structured chunk: magic u32, flags u16, type u16, cookie u64, length u32.
 * Extended chunk: magic u32, flags u16, type u16, cookie u64, offset u64, length u64.
 *
 * @see doc/proto.md, "Simple reply message", "Structured reply chunk message"
 * @module
 */
import type { Bytes } from '@granary/core'
import { FRAME_BYTES, MAGIC } from './constants.ts'
import { protocolError, readUint64, viewOf, writeUint64 } from './fields.ts'
import type { Cookie } from './requests.ts'

/** Which kind of reply two peers agreed on. `structured` still allows simple replies to anything but READ. */
export type ReplyStyle = 'simple' | 'structured' | 'extended'

export interface SimpleReply {
  readonly kind: 'simple'
  readonly cookie: Cookie
  /** 0, or an error number. */
  readonly error: number
}

export interface ChunkHeader {
  readonly kind: 'chunk'
  readonly cookie: Cookie
  readonly flags: number
  readonly type: number
  /** Bytes that follow. */
  readonly length: number
}

/**
 * Length of the head that begins with `magic`, bytes.
 *
 * @throws GranaryError `GRANARY_PROTOCOL` when that magic may not come in this style
 */
export const replyHeadBytes = (magic: number, style: ReplyStyle): number => {
  if (style === 'extended' && magic === MAGIC.extendedReply) return FRAME_BYTES.extendedReply
  if (style !== 'extended' && magic === MAGIC.simpleReply) return FRAME_BYTES.simpleReply
  if (style === 'structured' && magic === MAGIC.structuredReply) return FRAME_BYTES.structuredReply
  throw protocolError(`a reply begins with bytes that may not begin a ${style} reply`, { found: magic })
}

/** Parses a head whose magic `replyHeadBytes` has accepted. */
export const decodeReplyHead = (bytes: Bytes): SimpleReply | ChunkHeader => {
  const view = viewOf(bytes)
  const cookie = { high: view.getUint32(8), low: view.getUint32(12) }
  const magic = view.getUint32(0)
  if (magic === MAGIC.simpleReply) return { kind: 'simple', error: view.getUint32(4), cookie }
  const flags = view.getUint16(4)
  const type = view.getUint16(6)
  const length = magic === MAGIC.extendedReply ? readUint64(view, 24) : view.getUint32(16)
  return { kind: 'chunk', cookie, flags, type, length }
}

export const encodeSimpleReply = (cookie: Cookie, error: number): Bytes => {
  const bytes = new Uint8Array(FRAME_BYTES.simpleReply)
  const view = viewOf(bytes)
  view.setUint32(0, MAGIC.simpleReply)
  view.setUint32(4, error)
  view.setUint32(8, cookie.high)
  view.setUint32(12, cookie.low)
  return bytes
}

export interface ChunkFields {
  readonly cookie: Cookie
  readonly flags: number
  readonly type: number
  /** Payload bytes, those of `payloadHead` included. */
  readonly length: number
  /** Offset of the request: extended chunks repeat it. */
  readonly requestOffset: number
  /** First bytes of the payload, sent together with the head. */
  readonly payloadHead?: Bytes
}

export const encodeChunkHeader = (fields: ChunkFields, isExtended: boolean): Bytes => {
  const headBytes = isExtended ? FRAME_BYTES.extendedReply : FRAME_BYTES.structuredReply
  const bytes = new Uint8Array(headBytes + (fields.payloadHead?.length ?? 0))
  const view = viewOf(bytes)
  view.setUint32(0, isExtended ? MAGIC.extendedReply : MAGIC.structuredReply)
  view.setUint16(4, fields.flags)
  view.setUint16(6, fields.type)
  view.setUint32(8, fields.cookie.high)
  view.setUint32(12, fields.cookie.low)
  if (isExtended) {
    writeUint64(view, 16, fields.requestOffset)
    writeUint64(view, 24, fields.length)
  } else view.setUint32(16, fields.length)
  if (fields.payloadHead !== undefined) bytes.set(fields.payloadHead, headBytes)
  return bytes
}
