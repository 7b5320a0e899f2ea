/**
 * Option frames: what a client asks while it negotiates.
 * Frame: magic u64, option u32, length u32, data.
 *
 * @see doc/proto.md, "Option haggling" and "Option types"
 * @module
 */
import type { Bytes } from '@granary/core'
import { FRAME_BYTES, MAGIC, MAX_STRING_BYTES } from './constants.ts'
import { decodeText, encodeText, isMagic, protocolError, viewOf, writeMagic } from './fields.ts'

export interface OptionHeader {
  readonly option: number
  /** Bytes of data that follow. */
  readonly length: number
}

export const encodeOption = (option: number, data: Bytes = new Uint8Array(0)): Bytes => {
  const bytes = new Uint8Array(FRAME_BYTES.option + data.length)
  const view = viewOf(bytes)
  writeMagic(view, 0, MAGIC.option)
  view.setUint32(8, option)
  view.setUint32(12, data.length)
  bytes.set(data, FRAME_BYTES.option)
  return bytes
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the magic is wrong: nothing after it can be trusted */
export const decodeOptionHeader = (bytes: Bytes): OptionHeader => {
  const view = viewOf(bytes)
  if (!isMagic(view, 0, MAGIC.option)) throw protocolError('an option begins with other bytes than IHAVEOPT')
  return { option: view.getUint32(8), length: view.getUint32(12) }
}

/** Data of INFO and GO: name length u32, name, count u16, that many information types u16. */
export interface InfoRequest {
  readonly exportName: string
  readonly infos: readonly number[]
}

export const encodeInfoRequest = ({ exportName, infos }: InfoRequest): Bytes => {
  const name = encodeText(exportName, 'export name')
  const bytes = new Uint8Array(4 + name.length + 2 + infos.length * 2)
  const view = viewOf(bytes)
  view.setUint32(0, name.length)
  bytes.set(name, 4)
  view.setUint16(4 + name.length, infos.length)
  for (const [i, info] of infos.entries()) view.setUint16(6 + name.length + i * 2, info)
  return bytes
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the lengths do not add up */
export const decodeInfoRequest = (data: Bytes): InfoRequest => {
  const view = viewOf(data)
  const nameBytes = data.length < 6 ? Infinity : view.getUint32(0)
  if (nameBytes > data.length - 6) throw protocolError('INFO or GO: the name is longer than the option')
  const count = view.getUint16(4 + nameBytes)
  if (count * 2 !== data.length - 6 - nameBytes) throw protocolError('INFO or GO: the count and the length differ')
  return {
    exportName: decodeText(data.subarray(4, 4 + nameBytes), 'export name'),
    infos: Array.from({ length: count }, (_, i) => view.getUint16(6 + nameBytes + i * 2)),
  }
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT: name length u32, name, count u32, then per query length u32, text. */
export interface MetaContextRequest {
  readonly exportName: string
  readonly queries: readonly string[]
}

export const encodeMetaContextRequest = ({ exportName, queries }: MetaContextRequest): Bytes => {
  const texts = [encodeText(exportName, 'export name'), ...queries.map(query => encodeText(query, 'meta context'))]
  const bytes = new Uint8Array(4 + texts.reduce((sum, text) => sum + 4 + text.length, 0))
  const view = viewOf(bytes)
  let at = 0
  for (const [i, text] of texts.entries()) {
    view.setUint32(at, text.length)
    bytes.set(text, at + 4)
    at += 4 + text.length
    if (i > 0) continue
    view.setUint32(at, queries.length)
    at += 4
  }
  return bytes
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the lengths do not add up */
export const decodeMetaContextRequest = (data: Bytes): MetaContextRequest => {
  const view = viewOf(data)
  let at = 0
  const uint32 = (): number => {
    if (data.length - at < 4) throw protocolError('meta context option is cut short')
    at += 4
    return view.getUint32(at - 4)
  }
  const text = (field: string): string => {
    const length = uint32()
    if (length > Math.min(MAX_STRING_BYTES, data.length - at))
      throw protocolError(`meta context option: ${field} is too long`, { length })
    at += length
    return decodeText(data.subarray(at - length, at), field)
  }
  const exportName = text('export name')
  const count = uint32()
  const queries: string[] = []
  while (queries.length < count) queries.push(text('query'))
  if (at !== data.length) throw protocolError('meta context option has bytes after its last query')
  return { exportName, queries }
}
