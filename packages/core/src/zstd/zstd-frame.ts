/**
 * A look at a zstd frame before a decoder sees it: where it ends, and how much it may grow. Decoders allocate by what the
 * header claims, and some give back whatever a frame regenerates, however long.
 *
 * @see RFC 8878, section 3.1
 * @module
 */
import type { Bytes } from '../bytes.ts'

const MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50

/** Section 3.1.1.2.4: Block_Maximum_Size is the smaller of this and the window. */
const MAX_BLOCK_BYTES = 128 * 1024

/** Lengths of the dictionary id and content size fields by their flags (sections 3.1.1.1.1.6 and 3.1.1.1.1.1). */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const

/** Types of blocks (section 3.1.1.2.2); 3 is reserved. */
const BLOCK = { raw: 0, rle: 1, compressed: 2 } as const

/** What is known of a frame without decoding it. */
export interface ZstdFrame {
  /** Where it ends, bytes from the start of what was looked at. */
  readonly end: number
  /** Most bytes it can regenerate. */
  readonly mostBytes: number
  /** How many it says it holds; undefined when it says nothing. */
  readonly contentBytes: number | undefined
  /** How far back it may refer, bytes. */
  readonly windowBytes: number
  readonly hasDictionary: boolean
  /** Holds nothing that a decoder gives out. */
  readonly isSkippable: boolean
}

/** The frame that starts at `start`, or undefined when there is no whole one, or one that no encoder writes. */
export const zstdFrameAt = (bytes: Bytes, start: number): ZstdFrame | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (start + 6 > view.byteLength) return undefined
  const magic = view.getUint32(start, true)
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) return skippableFrame(view, start)
  const header = magic === MAGIC ? readHeader(view, start) : undefined
  const blocks = header && walkBlocks(view, header.end, Math.min(header.windowBytes, MAX_BLOCK_BYTES))
  if (header === undefined || blocks === undefined) return undefined
  const end = blocks.end + header.checksumBytes
  if (end > view.byteLength) return undefined
  const { contentBytes, windowBytes, hasDictionary } = header
  return { end, mostBytes: blocks.mostBytes, contentBytes, windowBytes, hasDictionary, isSkippable: false }
}

/** Section 3.1.2. */
const skippableFrame = (view: DataView, start: number): ZstdFrame | undefined => {
  if (start + 8 > view.byteLength) return undefined
  const end = start + 8 + view.getUint32(start + 4, true)
  if (end > view.byteLength) return undefined
  return { end, mostBytes: 0, contentBytes: 0, windowBytes: 0, hasDictionary: false, isSkippable: true }
}

interface FrameHeader extends Pick<ZstdFrame, 'end' | 'contentBytes' | 'windowBytes' | 'hasDictionary'> {
  readonly checksumBytes: number
}

/** Section 3.1.1.1. */
const readHeader = (view: DataView, start: number): FrameHeader | undefined => {
  const descriptor = view.getUint8(start + 4)
  if ((descriptor & 0x08) !== 0) return undefined // A reserved bit.
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = DICTIONARY_ID_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3]
  const sizeFlag = (descriptor >> 6) as 0 | 1 | 2 | 3
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : CONTENT_SIZE_BYTES[sizeFlag]
  const sizeAt = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes
  const end = sizeAt + sizeBytes
  if (end > view.byteLength) return undefined
  const contentBytes = readContentSize(view, sizeAt, sizeBytes)
  return {
    end,
    contentBytes,
    windowBytes: isSingleSegment ? (contentBytes as number) : windowSize(view.getUint8(start + 5)),
    hasDictionary: dictionaryBytes > 0,
    checksumBytes: (descriptor & 0x04) === 0 ? 0 : 4,
  }
}

/** Section 3.1.1.1.4. */
const readContentSize = (view: DataView, at: number, length: 0 | 1 | 2 | 4 | 8): number | undefined => {
  switch (length) {
    case 0:
      return undefined
    case 1:
      return view.getUint8(at)
    case 2:
      return view.getUint16(at, true) + 256
    case 4:
      return view.getUint32(at, true)
    case 8:
      return Number(view.getBigUint64(at, true))
  }
}

/** Section 3.1.1.1.2. */
const windowSize = (descriptor: number): number => {
  const base = 2 ** (10 + (descriptor >> 3))
  return base + (base / 8) * (descriptor & 7)
}

/** Section 3.1.1.2. */
const walkBlocks = (
  view: DataView,
  start: number,
  maxBlockBytes: number,
): Pick<ZstdFrame, 'end' | 'mostBytes'> | undefined => {
  let mostBytes = 0
  for (let at = start; at + 3 <= view.byteLength;) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    const type = (header >> 1) & 3
    const size = header >> 3
    if (type > BLOCK.compressed || size > MAX_BLOCK_BYTES) return undefined
    at += 3 + (type === BLOCK.rle ? 1 : size)
    mostBytes += type === BLOCK.compressed ? maxBlockBytes : size
    if ((header & 1) === 1) return at <= view.byteLength ? { end: at, mostBytes } : undefined
  }
  return undefined
}
