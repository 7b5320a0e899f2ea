/**
 * Copies the rest of a disk from a watermark on, flushing at least once in a gibibyte: what lies below the watermark is durable at
 * the target, so a copy that broke off goes on there.
 *
 * @module
 */
import { copyDisk } from '@granary/core'
import type { AbortOptions, CopyCounts, DiskReader, DiskWriter } from '@granary/core'
import { sliceReader, sliceWriter } from './disk-slice.ts'
import type { Slice } from './disk-slice.ts'

export interface CopyFromOptions extends AbortOptions {
  readonly startBytes: number
  /** Called after a flush has been acknowledged. */
  readonly onDurable: (watermarkBytes: number) => Promise<void>
  readonly onProgress: (doneBytes: number) => void
  /** Write only what differs; the target must be readable. @default false */
  readonly differencesOnly?: boolean
  readonly concurrency: number
}

const GIB = 1024 ** 3
/** One request of imageio: large, and far below its bound of 128 MiB. */
const PIECE_BYTES = 4 * 1024 ** 2

/** @returns what was done from `startBytes` on */
export const copyFrom = async (
  reader: DiskReader,
  writer: DiskWriter | (DiskReader & DiskWriter),
  { startBytes, onDurable, onProgress, differencesOnly = false, concurrency, signal }: CopyFromOptions,
): Promise<CopyCounts> => {
  const total = { dataBytes: 0, zeroBytes: 0, holeBytes: 0, writtenBytes: 0, zeroedBytes: 0, unchangedBytes: 0 }
  for (let offset = startBytes; offset < reader.sizeBytes;) {
    const window = { offset, length: Math.min(GIB, reader.sizeBytes - offset) }
    const counts = await copyDisk(sliceReader(reader, window), targetOf(writer, window, differencesOnly), {
      differencesOnly,
      concurrency,
      bufferBytes: PIECE_BYTES,
      signal,
      onProgress: ({ doneBytes }) => onProgress(window.offset + doneBytes),
    })
    for (const name of Object.keys(total) as (keyof CopyCounts)[]) total[name] += counts[name]
    offset += window.length
    await onDurable(offset)
  }
  return total
}

const targetOf = (
  writer: DiskWriter | (DiskReader & DiskWriter),
  window: Slice,
  isCompared: boolean,
): DiskWriter | (DiskReader & DiskWriter) =>
  isCompared && 'read' in writer
    ? { ...sliceReader(writer, window), ...sliceWriter(writer, window) }
    : sliceWriter(writer, window)
