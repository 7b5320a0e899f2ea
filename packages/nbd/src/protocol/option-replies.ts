/**
 * Option replies: what a server answers while it negotiates.
 * Frame: magic u64, option u32, reply type u32, length u32, data.
 *
 * @see doc/proto.md, "Option reply types"
 * @module
 */
import type { Bytes } from '@granary/core'
import { FRAME_BYTES, INFO, MAGIC, MAX_MIN_BYTES, OPTION_REPLY_ERROR_BIT } from './constants.ts'
import {
  decodeText,
  encodeText,
  isMagic,
  protocolError,
  readUint64,
  viewOf,
  writeMagic,
  writeUint64,
} from './fields.ts'

export interface OptionReplyHeader {
  readonly option: number
  readonly reply: number
  /** Bytes of data that follow. */
  readonly length: number
}

export const isErrorReply = (reply: number): boolean => (reply & OPTION_REPLY_ERROR_BIT) !== 0

export const encodeOptionReply = (option: number, reply: number, data: Bytes = new Uint8Array(0)): Bytes => {
  const bytes = new Uint8Array(FRAME_BYTES.optionReply + data.length)
  const view = viewOf(bytes)
  writeMagic(view, 0, MAGIC.optionReply)
  view.setUint32(8, option)
  view.setUint32(12, reply)
  view.setUint32(16, data.length)
  bytes.set(data, FRAME_BYTES.optionReply)
  return bytes
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the magic is wrong */
export const decodeOptionReplyHeader = (bytes: Bytes): OptionReplyHeader => {
  const view = viewOf(bytes)
  if (!isMagic(view, 0, MAGIC.optionReply))
    throw protocolError('an option reply begins with other bytes than its magic')
  return { option: view.getUint32(8), reply: view.getUint32(12), length: view.getUint32(16) }
}

/** Size and transmission flags of an export, as EXPORT_NAME and INFO_EXPORT tell them. */
export interface ExportSize {
  readonly sizeBytes: number
  readonly flags: number
}

/** @param bytes size u64, flags u16 */
export const decodeExportSize = (bytes: Bytes): ExportSize => {
  const view = viewOf(bytes)
  return { sizeBytes: readUint64(view, 0), flags: view.getUint16(8) }
}

export const encodeExportSize = ({ sizeBytes, flags }: ExportSize): Bytes => {
  const bytes = new Uint8Array(FRAME_BYTES.exportNameReply)
  const view = viewOf(bytes)
  writeUint64(view, 0, sizeBytes)
  view.setUint16(8, flags)
  return bytes
}

/** Block size constraints of an export, bytes. */
export interface BlockSizes {
  /** Offsets and lengths must be multiples of it. A power of two in [1, 65536]. */
  readonly minBytes: number
  /** Best unit. A power of two, at least 512. */
  readonly preferredBytes: number
  /** Longest payload of a request or reply. */
  readonly maxBytes: number
}

export type Info =
  | ({ readonly type: 'export' } & ExportSize)
  | ({ readonly type: 'blockSize' } & BlockSizes)
  | { readonly type: 'name' | 'description'; readonly text: string }
  | { readonly type: 'unknown' }

/** @throws GranaryError `GRANARY_PROTOCOL` when a known type has another length, or the block sizes contradict themselves */
export const decodeInfo = (data: Bytes): Info => {
  if (data.length < 2) throw protocolError('an information reply has no type')
  const view = viewOf(data)
  switch (view.getUint16(0)) {
    case INFO.export:
      expectLength(data, 12)
      return { type: 'export', ...decodeExportSize(data.subarray(2)) }
    case INFO.blockSize:
      expectLength(data, 14)
      return {
        type: 'blockSize',
        ...checkBlockSizes({
          minBytes: view.getUint32(2),
          preferredBytes: view.getUint32(6),
          maxBytes: view.getUint32(10),
        }),
      }
    case INFO.name:
      return { type: 'name', text: decodeText(data.subarray(2), 'export name') }
    case INFO.description:
      return { type: 'description', text: decodeText(data.subarray(2), 'description') }
    default:
      return { type: 'unknown' }
  }
}

export const encodeExportInfo = (size: ExportSize): Bytes => withType(INFO.export, encodeExportSize(size))

export const encodeTextInfo = (type: 'name' | 'description', text: string): Bytes =>
  withType(INFO[type], encodeText(text, type))

export const encodeBlockSizeInfo = ({ minBytes, preferredBytes, maxBytes }: BlockSizes): Bytes => {
  const bytes = new Uint8Array(12)
  const view = viewOf(bytes)
  view.setUint32(0, minBytes)
  view.setUint32(4, preferredBytes)
  view.setUint32(8, maxBytes)
  return withType(INFO.blockSize, bytes)
}

/** Data of a SERVER reply: name length u32, name, description. */
export const encodeServer = (name: string, description: string): Bytes => {
  const [head, tail] = [encodeText(name, 'export name'), encodeText(description, 'description')]
  const bytes = new Uint8Array(4 + head.length + tail.length)
  viewOf(bytes).setUint32(0, head.length)
  bytes.set(head, 4)
  bytes.set(tail, 4 + head.length)
  return bytes
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the lengths do not add up */
export const decodeServer = (data: Bytes): { readonly name: string; readonly description: string } => {
  const length = data.length < 4 ? Infinity : viewOf(data).getUint32(0)
  if (length > data.length - 4) throw protocolError('LIST: the name is longer than the reply')
  return {
    name: decodeText(data.subarray(4, 4 + length), 'export name'),
    description: decodeText(data.subarray(4 + length), 'description'),
  }
}

/** Data of a META_CONTEXT reply: id u32, name. */
export const encodeMetaContext = (id: number, name: string): Bytes => {
  const text = encodeText(name, 'meta context')
  const bytes = new Uint8Array(4 + text.length)
  viewOf(bytes).setUint32(0, id)
  bytes.set(text, 4)
  return bytes
}

/** @throws GranaryError `GRANARY_PROTOCOL` when it is too short */
export const decodeMetaContext = (data: Bytes): { readonly id: number; readonly name: string } => {
  if (data.length < 4) throw protocolError('a meta context has no id')
  return { id: viewOf(data).getUint32(0), name: decodeText(data.subarray(4), 'meta context') }
}

const isPowerOfTwo = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value))

/** @see doc/proto.md, "Block size constraints" */
const checkBlockSizes = (sizes: BlockSizes): BlockSizes => {
  const { minBytes, preferredBytes, maxBytes } = sizes
  const isSound =
    isPowerOfTwo(minBytes) &&
    minBytes <= MAX_MIN_BYTES &&
    isPowerOfTwo(preferredBytes) &&
    preferredBytes >= Math.max(minBytes, 512) &&
    maxBytes >= preferredBytes
  if (!isSound)
    throw protocolError(`the server's block sizes contradict themselves`, { minBytes, preferredBytes, maxBytes })
  return sizes
}

const expectLength = (data: Bytes, length: number): void => {
  if (data.length !== length)
    throw protocolError(`an information reply has ${data.length} bytes, expected ${length}`, { found: data.length })
}

const withType = (type: number, data: Bytes): Bytes => {
  const bytes = new Uint8Array(2 + data.length)
  viewOf(bytes).setUint16(0, type)
  bytes.set(data, 2)
  return bytes
}
