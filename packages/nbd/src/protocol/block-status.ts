/**
 * Payloads of BLOCK_STATUS.
 * Reply chunk, compact: context id u32, then per extent length u32, flags u32.
 * Reply chunk, extended: context id u32, count u32, then per extent length u64, flags u64.
 * Request payload (extended): effect length u64, then context ids u32.
 *
 * @see doc/proto.md, NBD_REPLY_TYPE_BLOCK_STATUS and NBD_REPLY_TYPE_BLOCK_STATUS_EXT
 * @module
 */
import type { Bytes } from '@granary/core'
import { protocolError, readUint64, viewOf, writeUint64 } from './fields.ts'

/** One run of a meta context. */
export interface StatusExtent {
  /** Bytes, at least 1. */
  readonly length: number
  /** Bits or value, as the context defines; below 2^53. */
  readonly flags: number
}

export interface StatusChunk {
  readonly contextId: number
  readonly extents: readonly StatusExtent[]
}

/** Most extents in one chunk that this implementation sends or takes. */
const MAX_STATUS_EXTENTS = 1 << 20

/** Longest status payload this implementation takes, bytes. */
export const maxStatusBytes = (isExtended: boolean): number => 8 + MAX_STATUS_EXTENTS * (isExtended ? 16 : 8)

/** @throws GranaryError `GRANARY_PROTOCOL` when there is no extent, an extent is empty, or the lengths do not add up */
export const decodeStatusChunk = (data: Bytes, isExtended: boolean): StatusChunk => {
  const [headBytes, unitBytes] = isExtended ? [8, 16] : [4, 8]
  const count = (data.length - headBytes) / unitBytes
  if (!Number.isInteger(count) || count < 1)
    throw protocolError('a block status has no whole number of extents', { lengthBytes: data.length })
  const view = viewOf(data)
  if (isExtended && view.getUint32(4) !== count)
    throw protocolError('a block status counts other extents than it has', { counted: view.getUint32(4), found: count })
  const extents: StatusExtent[] = []
  for (let i = 0; i < count; i++) {
    const at = headBytes + i * unitBytes
    const extent = isExtended
      ? { length: readUint64(view, at), flags: readUint64(view, at + 8) }
      : { length: view.getUint32(at), flags: view.getUint32(at + 4) }
    if (extent.length === 0) throw protocolError('a block status has an extent of no length')
    extents.push(extent)
  }
  return { contextId: view.getUint32(0), extents }
}

export const encodeStatusChunk = ({ contextId, extents }: StatusChunk, isExtended: boolean): Bytes => {
  const [headBytes, unitBytes] = isExtended ? [8, 16] : [4, 8]
  const bytes = new Uint8Array(headBytes + extents.length * unitBytes)
  const view = viewOf(bytes)
  view.setUint32(0, contextId)
  if (isExtended) view.setUint32(4, extents.length)
  for (const [i, { length, flags }] of extents.entries()) {
    const at = headBytes + i * unitBytes
    if (isExtended) {
      writeUint64(view, at, length)
      writeUint64(view, at + 8, flags)
    } else {
      view.setUint32(at, length)
      view.setUint32(at + 4, flags)
    }
  }
  return bytes
}

export interface StatusFilter {
  /** Bytes the client asks about. */
  readonly effectLength: number
  readonly contextIds: readonly number[]
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the length is wrong */
export const decodeStatusFilter = (data: Bytes): StatusFilter => {
  const count = (data.length - 8) / 4
  if (!Number.isInteger(count) || count < 0) throw protocolError('the filter of a block status has a wrong length')
  const view = viewOf(data)
  return {
    effectLength: readUint64(view, 0),
    contextIds: Array.from({ length: count }, (_, i) => view.getUint32(8 + i * 4)),
  }
}
