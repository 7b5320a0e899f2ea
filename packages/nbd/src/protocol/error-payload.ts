/**
 * Payloads of the error chunks, and what an error number means to a caller.
 * ERROR: error u32, message length u16, message. ERROR_OFFSET: the same, then offset u64.
 *
 * @see doc/proto.md, NBD_REPLY_TYPE_ERROR, "Error values"
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { Bytes, ErrorCode } from '@granary/core'
import { CHUNK, ERRNO } from './constants.ts'
import type { Errno } from './constants.ts'
import { decodeMessage, protocolError, viewOf } from './fields.ts'

/** Longest error payload this implementation takes, bytes. */
export const MAX_ERROR_PAYLOAD_BYTES = 6 + 0xffff + 8

export interface ErrorPayload {
  /** Never 0. */
  readonly error: number
  readonly message: string
}

/**
 * @param type chunk type; those unknown must still begin like ERROR
 * @throws GranaryError `GRANARY_PROTOCOL` when the lengths do not add up, or the error is 0
 */
export const decodeErrorPayload = (data: Bytes, type: number): ErrorPayload => {
  if (data.length < 6) throw protocolError('an error chunk is cut short', { lengthBytes: data.length })
  const view = viewOf(data)
  const error = view.getUint32(0)
  const messageBytes = view.getUint16(4)
  const rest = data.length - 6 - messageBytes
  const isSound = type === CHUNK.error ? rest === 0 : type === CHUNK.errorOffset ? rest === 8 : rest >= 0
  if (!isSound || error === 0) throw protocolError('an error chunk contradicts itself', { error, messageBytes })
  return { error, message: decodeMessage(data.subarray(6, 6 + messageBytes)) }
}

export const encodeErrorPayload = (error: number, message: string): Bytes => {
  const text = new TextEncoder().encode(message.slice(0, 1000))
  const bytes = new Uint8Array(6 + text.length)
  const view = viewOf(bytes)
  view.setUint32(0, error)
  view.setUint16(4, text.length)
  bytes.set(text, 6)
  return bytes
}

const CODE_OF: Readonly<Record<number, { readonly name: string; readonly code: ErrorCode }>> = {
  [ERRNO.EPERM]: { name: 'EPERM', code: 'GRANARY_PERMISSION' },
  [ERRNO.EIO]: { name: 'EIO', code: 'GRANARY_IO' },
  [ERRNO.ENOMEM]: { name: 'ENOMEM', code: 'GRANARY_REMOTE' },
  [ERRNO.EINVAL]: { name: 'EINVAL', code: 'GRANARY_REMOTE' },
  [ERRNO.ENOSPC]: { name: 'ENOSPC', code: 'GRANARY_NO_SPACE' },
  [ERRNO.EOVERFLOW]: { name: 'EOVERFLOW', code: 'GRANARY_REMOTE' },
  [ERRNO.ENOTSUP]: { name: 'ENOTSUP', code: 'GRANARY_UNSUPPORTED' },
  [ERRNO.ESHUTDOWN]: { name: 'ESHUTDOWN', code: 'GRANARY_REMOTE' },
}

/** The error a caller sees when the server refused a request. `detail.errno` is the number on the wire. */
export const errorOfReply = (
  { error, message }: ErrorPayload,
  request: { readonly command: string; readonly offset: number; readonly length: number },
): GranaryError => {
  const { name, code } = CODE_OF[error] ?? { name: `error ${error}`, code: 'GRANARY_REMOTE' as const }
  const { command, offset, length } = request
  return new GranaryError(
    code,
    `NBD: the server answers ${name} to ${command} at ${offset}+${length}${message === '' ? '' : `: ${message}`}`,
    { detail: { errno: error, command, offset, length }, retryable: error === ERRNO.ESHUTDOWN },
  )
}

const ERRNO_OF: Partial<Readonly<Record<ErrorCode, Errno>>> = {
  GRANARY_INVALID_ARGUMENT: ERRNO.EINVAL,
  GRANARY_PERMISSION: ERRNO.EPERM,
  GRANARY_NO_SPACE: ERRNO.ENOSPC,
  GRANARY_UNSUPPORTED: ERRNO.ENOTSUP,
}

/** The number a server puts on the wire for what a disk threw. */
export const errnoOf = (error: unknown): Errno =>
  isGranaryError(error) ? (ERRNO_OF[error.code] ?? ERRNO.EIO) : ERRNO.EIO
