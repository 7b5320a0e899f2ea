/** Cuts what is known of a disk into windows: which must be read, and which are nothing as a whole. @module */
import type { AbortOptions, Bytes, DiskReader, DiskStream, Extent } from '@granary/core'
import type { WindowChange } from '@granary/chunker'
import { WINDOW_BYTES, windowLength, windowsOf } from '../map/map-nodes.ts'
import type { WindowRange } from './window-job.ts'

/** A window of a disk, as far as it is known without reading. */
export interface DiskWindow {
  readonly window: number
  readonly length: number
  readonly ranges: readonly WindowRange[]
  /** True when nothing in it changed since the base of the changed-block tracking. */
  readonly isClean: boolean
  /** What changed since then, where that is known. */
  readonly changes?: readonly WindowChange[]
  /** The bytes, where they came from a stream. */
  readonly bytes?: readonly Bytes[]
}

/** Ranges are widened to the grid. */
const GRID_BYTES = 4096

/** A shorter run of nothing is read: a request costs more. */
const LEAST_ZERO_BYTES = 65_536

/** The windows of a disk that can be read at random. */
export async function* windowsOfDisk(
  disk: DiskReader,
  { signal }: AbortOptions = {},
): AsyncGenerator<DiskWindow, void, undefined> {
  const last = windowsOf(disk.sizeBytes) - 1
  let window = 0
  let extents: Extent[] = []
  for await (const extent of disk.extents({ signal })) {
    let { offset } = extent
    const end = extent.offset + extent.length
    while (offset < end) {
      const windowEnd = window * WINDOW_BYTES + windowLength(disk.sizeBytes, window)
      const length = Math.min(end, windowEnd) - offset
      extents.push({ ...extent, offset, length })
      offset += length
      if (offset < windowEnd) break
      yield describe(disk.sizeBytes, window, extents)
      extents = []
      if (window === last) return
      window++
    }
  }
}

const describe = (sizeBytes: number, window: number, extents: readonly Extent[]): DiskWindow => {
  const base = window * WINDOW_BYTES
  const length = windowLength(sizeBytes, window)
  const ranges: WindowRange[] = []
  let at = 0
  for (const extent of extents) {
    if (extent.kind === 'data') continue
    const isAtEnd = extent.offset + extent.length - base === length
    const from = Math.ceil((extent.offset - base) / GRID_BYTES) * GRID_BYTES
    const end = extent.offset + extent.length - base
    const to = isAtEnd ? end : Math.floor(end / GRID_BYTES) * GRID_BYTES
    if (to - from < Math.min(LEAST_ZERO_BYTES, length)) continue
    if (from > at) ranges.push({ length: from - at, kind: 'data' })
    ranges.push({ length: to - from, kind: extent.kind })
    at = to
  }
  if (at < length) ranges.push({ length: length - at, kind: 'data' })
  const isTracked = extents.every(extent => extent.dirty !== undefined)
  return {
    window,
    length,
    ranges,
    isClean: extents.every(extent => extent.dirty === false),
    ...(isTracked
      ? {
          changes: extents
            .filter(extent => extent.dirty === true)
            .map(extent => ({ offset: extent.offset - base, length: extent.length, kind: extent.kind })),
        }
      : {}),
  }
}

/** The windows of a stream: each is gathered whole before it is given out, so memory is 32 MiB a window under way. */
export async function* windowsOfStream(
  stream: DiskStream,
  options: AbortOptions = {},
): AsyncGenerator<DiskWindow, void, undefined> {
  let window = 0
  let bytes: Bytes[] = []
  let length = 0
  const finish = (): DiskWindow => ({
    window: window++,
    length,
    ranges: [{ length, kind: 'data' }],
    isClean: false,
    bytes,
  })
  for await (const chunk of stream.chunks(options)) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.slice(at, at + WINDOW_BYTES - length)
      bytes.push(part)
      length += part.length
      at += part.length
      if (length < WINDOW_BYTES) continue
      yield finish()
      bytes = []
      length = 0
    }
  }
  if (length > 0) yield finish()
}

/** Reads from the gathered pieces of a window. */
export const readGathered = (bytes: readonly Bytes[], offset: number, target: Bytes): void => {
  let pieceStart = 0
  for (const piece of bytes) {
    const from = Math.max(offset, pieceStart)
    const to = Math.min(offset + target.length, pieceStart + piece.length)
    if (from < to) target.set(piece.subarray(from - pieceStart, to - pieceStart), from - offset)
    pieceStart += piece.length
  }
}
