/**
 * Finds the frames of a zstd stream and how much they may grow, without decoding them: a compressed
 * cluster ends somewhere in its last sector, and a hostile one must not decode to gigabytes.
 *
 * @see RFC 8878, section 3.1
 * @module
 */
import type { Bytes } from '@granary/core'
import { viewOf } from './format.ts'

export interface ZstdFrame {
  readonly end: number
  /** Most bytes the frame can decode to. */
  readonly maxBytes: number
  /** What the frame says of itself; undefined when it says nothing. */
  readonly contentBytes: number | undefined
  readonly isSkippable: boolean
}

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
/** Section 3.1.1.2.3: Block_Maximum_Size is the smaller of this and the window. */
const MAX_BLOCK_BYTES = 128 * 1024

/** The frame that starts at `start`, or undefined when there is no whole one. */
export const zstdFrameAt = (bytes: Bytes, start: number): ZstdFrame | undefined => {
  if (start + 8 > bytes.length) return undefined
  const view = viewOf(bytes)
  const magic = view.getUint32(start, true)
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    const end = start + 8 + view.getUint32(start + 4, true)
    return end > bytes.length ? undefined : { end, maxBytes: 0, contentBytes: 0, isSkippable: true }
  }
  if (magic !== FRAME_MAGIC) return undefined
  const descriptor = view.getUint8(start + 4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number
  const sizeAt = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes
  if (sizeAt + sizeBytes > bytes.length) return undefined
  const contentBytes = readContentSize(view, sizeAt, sizeBytes)
  const windowBytes = isSingleSegment ? (contentBytes ?? 0) : windowSize(view.getUint8(start + 5))
  const blocks = walkBlocks(bytes, sizeAt + sizeBytes, Math.min(windowBytes, MAX_BLOCK_BYTES))
  if (blocks === undefined) return undefined
  const end = blocks.end + ((descriptor & 4) !== 0 ? 4 : 0)
  if (end > bytes.length) return undefined
  return { end, maxBytes: Math.min(blocks.maxBytes, contentBytes ?? Infinity), contentBytes, isSkippable: false }
}

const readContentSize = (view: DataView, at: number, sizeBytes: number): number | undefined => {
  if (sizeBytes === 0) return undefined
  if (sizeBytes === 1) return view.getUint8(at)
  if (sizeBytes === 2) return view.getUint16(at, true) + 256
  if (sizeBytes === 4) return view.getUint32(at, true)
  return Number(view.getBigUint64(at, true))
}

/** Section 3.1.1.1.2, Window_Descriptor. */
const windowSize = (descriptor: number): number => {
  const base = 2 ** (10 + (descriptor >> 3))
  return base + (base / 8) * (descriptor & 7)
}

const walkBlocks = (
  bytes: Bytes,
  start: number,
  maxBlockBytes: number,
): { readonly end: number; readonly maxBytes: number } | undefined => {
  let maxBytes = 0
  for (let at = start; at + 3 <= bytes.length;) {
    const header = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)
    const type = (header >> 1) & 3
    const size = header >>> 3
    if (type === 3) return undefined
    at += 3 + (type === 1 ? 1 : size)
    maxBytes += type === 2 ? maxBlockBytes : size
    if ((header & 1) !== 0) return at <= bytes.length ? { end: at, maxBytes } : undefined
  }
  return undefined
}
