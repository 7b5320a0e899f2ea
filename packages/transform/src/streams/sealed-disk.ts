/**
 * A sealed stream of plain bytes as a disk: read at random, without what lies before. All its records but the last have the same
 * length, so each has a place that can be computed, and an ordinal that binds it there.
 *
 * @see docs/formats/stream.md, "Random access"
 * @module
 */
import { GranaryError, checkRange } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, Extent, ExtentOptions } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { REGROUPED_BYTES as SEGMENT_BYTES } from './piece.ts'
import { HEADER_BYTES, PREFIX_BYTES, RECORD_HEADER_BYTES, corruptStream, decodeRecord } from './stream-format.ts'
import type { StreamRecord } from './stream-format.ts'
import { associatedOf, openStream, readPrefix } from './stream-keys.ts'
import type { OpenedStream } from './stream-keys.ts'

/** Opened segments that are kept: 1 MiB. */
const KEPT_SEGMENTS = 8

export interface SealedDiskOptions extends AbortOptions {
  /** The key the stream was sealed with, 32 bytes. */
  readonly key: Bytes
}

/**
 * Opens a sealed stream for reading at random. Its end is opened first, which says how long it is: so a stream that was cut off
 * is refused before a byte of it is read. A segment that was changed, moved or replaced is found when it is read. Only streams
 * that were sealed from plain bytes (not from chunks, not compressed) have segments of one length.
 *
 * @param file the sealed bytes; the disk owns it once it is open
 * @throws GranaryError `GRANARY_WRONG_KEY` when it was sealed with another key
 * @throws GranaryError `GRANARY_CORRUPT` when it is no sealed stream; `GRANARY_AUTHENTICATION` when its end is not where it should
 * be: it was cut off, changed, or sealed from chunks
 */
export const openSealedDisk = async (file: DiskReader, { key, signal }: SealedDiskOptions): Promise<DiskReader> => {
  checkLength('key', key, 32)
  const header = new Uint8Array(HEADER_BYTES)
  if (file.sizeBytes < HEADER_BYTES) throw corruptStream(`its end after ${file.sizeBytes} bytes, in its header`)
  await file.read(0, header, { signal })
  const stream = openStream(key, header)
  const records = recordsOf(file, stream)
  const sizeBytes = await records.openEnd({ signal })
  const kept = new Map<number, Promise<Bytes>>()

  const segment = async (number: number, options: AbortOptions): Promise<Bytes> => {
    const known = kept.get(number) ?? records.openSegment(number, sizeBytes, options)
    kept.delete(number) // Back in as the youngest.
    kept.set(number, known)
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT_SEGMENTS) break
      kept.delete(oldest)
    }
    try {
      return await known
    } catch (error) {
      if (kept.get(number) === known) kept.delete(number)
      throw error
    }
  }

  return {
    sizeBytes,
    blockBytes: SEGMENT_BYTES,
    async read(offset, target, options = {}) {
      options.signal?.throwIfAborted()
      checkRange(offset, target.length, sizeBytes)
      for (let at = 0; at < target.length;) {
        const number = Math.floor((offset + at) / SEGMENT_BYTES)
        const from = offset + at - number * SEGMENT_BYTES
        const part = (await segment(number, options)).subarray(from, from + target.length - at)
        target.set(part, at)
        at += part.length
      }
    },
    async *extents({ offset = 0, length = sizeBytes - offset, signal: abort }: ExtentOptions = {}) {
      abort?.throwIfAborted()
      checkRange(offset, length, sizeBytes)
      if (length > 0) yield { offset, length, kind: 'data' } satisfies Extent
    },
    async [Symbol.asyncDispose]() {
      kept.clear()
      await file[Symbol.asyncDispose]()
    },
  }
}

interface Records {
  /** @returns the length of the stream */
  openEnd(options: AbortOptions): Promise<number>
  openSegment(number: number, sizeBytes: number, options: AbortOptions): Promise<Bytes>
}

const recordsOf = (file: DiskReader, { header, suite, sealer }: OpenedStream): Records => {
  const overhead = PREFIX_BYTES + RECORD_HEADER_BYTES + suite.tagBytes

  const openRecord = async (
    at: number,
    ordinal: number,
    options: AbortOptions,
    plainBytes = 0,
  ): Promise<StreamRecord> => {
    const framed = new Uint8Array(overhead + plainBytes)
    await file.read(at, framed, options)
    const sealed = framed.subarray(PREFIX_BYTES)
    if (readPrefix(framed.subarray(0, PREFIX_BYTES), suite) !== sealed.length) throw notWhole()
    return decodeRecord(sealer.open(ordinal, associatedOf(header, sealed.length), sealed))
  }

  return {
    async openEnd(options) {
      const bodyBytes = file.sizeBytes - HEADER_BYTES - overhead
      const segments = Math.ceil(bodyBytes / (SEGMENT_BYTES + overhead))
      const sizeBytes = bodyBytes - segments * overhead
      if (bodyBytes < 0 || sizeBytes < 0 || segments !== Math.ceil(sizeBytes / SEGMENT_BYTES)) throw notWhole()
      const end = await openRecord(file.sizeBytes - overhead, segments, options).catch((error: unknown) => {
        throw notWhole(error)
      })
      if (end.kind !== 'end' || end.length !== sizeBytes) throw notWhole()
      return sizeBytes
    },
    async openSegment(number, sizeBytes, options) {
      const offset = number * SEGMENT_BYTES
      const length = Math.min(SEGMENT_BYTES, sizeBytes - offset)
      const at = HEADER_BYTES + number * (SEGMENT_BYTES + overhead)
      const record = await openRecord(at, number, options, length)
      const isPlain = record.kind === 'data' && (record.compression ?? 0) === 0
      if (isPlain && record.offset === offset && record.bytes.length === length) return record.bytes
      throw corruptStream(`segment ${number}, which is not plain bytes at ${offset}`)
    },
  }
}

const notWhole = (cause?: unknown): GranaryError =>
  new GranaryError('GRANARY_AUTHENTICATION', 'sealed stream: its end is not where it should be', {
    cause,
    hint: 'it was cut off or changed, or sealed from chunks or compressed: open it in order to see which',
  })
