/**
 * A look at a zstd frame before a decoder sees it: decoders allocate by what the header claims, and some give back whatever
 * a frame regenerates, however long.
 *
 * @see RFC 8878, section 3.1.1
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

const MAGIC = 0xfd2fb528

/** Most bytes that one block regenerates (section 3.1.1.2.4). */
const MAX_BLOCK_BYTES = 128 * 1024

/** Largest window of levels up to 19, bytes; more is refused, as a decoder would allocate it. */
const MAX_WINDOW_BYTES = 8 * 1024 * 1024

/** Lengths of the dictionary id and content size fields by their flags (sections 3.1.1.1.1.6 and 3.1.1.1.1.1). */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const

/** Types of blocks (section 3.1.1.2.2). */
const BLOCK = { raw: 0, rle: 1, compressed: 2 } as const

/** What is known of a frame without decoding it. */
export interface ZstdFrame {
  /** Most bytes it can regenerate. */
  readonly mostBytes: number
}

/**
 * Checks that `bytes` are exactly one frame that may hold `plainLengthBytes` bytes: no dictionary, no window that levels up
 * to 19 don't use, no other content size, whole blocks to the end and nothing behind.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when they are not
 */
export const readZstdFrame = (bytes: Bytes, plainLengthBytes: number): ZstdFrame => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const { headerBytes, checksumBytes } = readHeader(view, plainLengthBytes)
  const { end, mostBytes } = walkBlocks(view, headerBytes)
  if (end + checksumBytes !== bytes.length) throw corrupt(`${bytes.length - end} bytes after its last block`, view)
  if (mostBytes < plainLengthBytes) throw corrupt(`blocks of at most ${mostBytes} bytes`, view)
  return { mostBytes }
}

const readHeader = (view: DataView, plainLengthBytes: number): { headerBytes: number; checksumBytes: number } => {
  if (view.byteLength < 6 || view.getUint32(0, true) !== MAGIC) throw corrupt('no frame', view)
  const descriptor = view.getUint8(4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  if ((descriptor & 0x08) !== 0) throw corrupt('a reserved bit', view)
  if (DICTIONARY_ID_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3] !== 0) throw corrupt('a dictionary', view)
  const sizeBytes = contentSizeBytes(descriptor >> 6, isSingleSegment)
  const sizeAt = isSingleSegment ? 5 : 6
  const headerBytes = sizeAt + sizeBytes
  if (view.byteLength < headerBytes) throw corrupt('half a header', view)
  const contentSize = readContentSize(view, sizeAt, sizeBytes)
  if (contentSize !== undefined && contentSize !== plainLengthBytes)
    throw corrupt(`content of ${contentSize} bytes`, view)
  const windowBytes = isSingleSegment ? (contentSize as number) : windowSize(view.getUint8(5))
  if (!isSingleSegment && windowBytes > MAX_WINDOW_BYTES) throw corrupt(`a window of ${windowBytes} bytes`, view)
  return { headerBytes, checksumBytes: (descriptor & 0x04) === 0 ? 0 : 4 }
}

const contentSizeBytes = (flag: number, isSingleSegment: boolean): number =>
  flag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_BYTES[flag as 0 | 1 | 2 | 3] ?? 0)

/** Section 3.1.1.1.4. */
const readContentSize = (view: DataView, at: number, length: number): number | undefined => {
  switch (length) {
    case 0:
      return undefined
    case 1:
      return view.getUint8(at)
    case 2:
      return view.getUint16(at, true) + 256
    case 4:
      return view.getUint32(at, true)
    default:
      return Number(view.getBigUint64(at, true))
  }
}

/** Section 3.1.1.1.2. */
const windowSize = (descriptor: number): number => {
  const base = 2 ** (10 + (descriptor >> 3))
  return base + (base / 8) * (descriptor & 7)
}

/** Section 3.1.1.2. */
const walkBlocks = (view: DataView, from: number): { end: number; mostBytes: number } => {
  let at = from
  let mostBytes = 0
  for (let isLast = false; !isLast;) {
    if (at + 3 > view.byteLength) throw corrupt('no last block', view)
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    isLast = (header & 1) === 1
    const type = (header >> 1) & 3
    const size = header >> 3
    if (type > BLOCK.compressed || size > MAX_BLOCK_BYTES) throw corrupt('a block no encoder writes', view)
    at += 3 + (type === BLOCK.rle ? 1 : size)
    mostBytes += type === BLOCK.compressed ? MAX_BLOCK_BYTES : size
  }
  if (at > view.byteLength) throw corrupt('half a block', view)
  return { end: at, mostBytes }
}

const corrupt = (found: string, view: DataView): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `zstd frame of ${view.byteLength} bytes: found ${found}`, {
    detail: { lengthBytes: view.byteLength, found },
  })
