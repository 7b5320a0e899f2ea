/** A disk written out as a stream, such as to standard output. @module */
import type { Writable } from 'node:stream'
import type { Bytes } from '../bytes.ts'
import { mapOrdered } from '../concurrency/map-ordered.ts'
import { DEFAULT_BUFFER_BYTES, checkBufferBytes } from '../copy/copy-options.ts'
import type { CopyOptions } from '../copy/copy-options.ts'
import { copyPieces } from '../copy/copy-pieces.ts'
import type { CopyPiece } from '../copy/copy-pieces.ts'
import { CopyTally } from '../copy/copy-tally.ts'
import { COUNT_BY_KIND, noCounts } from '../copy/copy-counts.ts'
import type { CopyCounts } from '../copy/copy-counts.ts'
import { StageClock } from '../copy/stage-clock.ts'
import type { DiskReader } from '../disk.ts'
import { fromStreamError } from './disk-stream.ts'

const ZERO_PAGE_BYTES = 256 * 1024

/** Takes a whole disk. Ending the stream is left to its owner. */
export interface StreamWriter {
  /** @throws GranaryError `GRANARY_IO` when the other end closes the stream */
  writeDisk(reader: DiskReader, options?: Omit<CopyOptions, 'differencesOnly'>): Promise<CopyCounts>
}

/**
 * Writes disks to a Node stream in order: reads ahead by `concurrency` pieces, writes no faster than the stream drains,
 * and sends holes as zeros without reading them.
 *
 * @param name what the stream is called in messages
 * @example await streamWriter(process.stdout, 'standard output').writeDisk(disk, { signal })
 */
export const streamWriter = (writable: Writable, name: string): StreamWriter => ({
  async writeDisk(reader, { signal, onProgress, concurrency = 4, bufferBytes = DEFAULT_BUFFER_BYTES } = {}) {
    checkBufferBytes(bufferBytes)
    const page = new Uint8Array(ZERO_PAGE_BYTES) // This stream's own: one that changes its chunks hurts nobody else.
    const clock = new StageClock()
    const tally = new CopyTally({ clock, totalBytes: reader.sizeBytes, onProgress })
    const read = async (piece: CopyPiece, pieceSignal: AbortSignal): Promise<{ piece: CopyPiece; bytes?: Bytes }> => {
      if (piece.kind !== 'data') return { piece }
      // Fresh each time: a transform hands on what it got, so the stream owns the bytes for as long as it likes.
      const bytes = Buffer.allocUnsafeSlow(piece.length)
      await clock.time('source', reader.read(piece.offset, bytes, { signal: pieceSignal }))
      return { piece, bytes }
    }
    const send = async (offset: number, bytes: Bytes): Promise<void> => {
      signal?.throwIfAborted()
      await clock.time('target', writeTo(writable, bytes, { what: `writing to ${name} at ${offset}`, signal }))
    }
    // A failing stream emits its error after the callback, too. Without a listener that would end the process; the one
    // added here stays with a stream that failed, since nothing more comes from it.
    writable.on('error', ignore)
    const pieces = copyPieces(reader, { bufferBytes, target: 'zeros', signal })
    for await (const { piece, bytes } of mapOrdered(pieces, read, { concurrency, signal })) {
      if (bytes === undefined) await sendZeros(piece, page, send)
      else await send(piece.offset, bytes)
      tally.add(
        { ...noCounts(), [COUNT_BY_KIND[piece.kind]]: piece.length, writtenBytes: piece.length },
        { doneBytes: piece.length, readBytes: bytes === undefined ? 0 : piece.length },
      )
    }
    writable.off('error', ignore)
    return tally.end()
  },
})

const ignore = (): void => undefined

const sendZeros = async (
  piece: CopyPiece,
  page: Bytes,
  send: (offset: number, bytes: Bytes) => Promise<void>,
): Promise<void> => {
  const end = piece.offset + piece.length
  for (let at = piece.offset; at < end;) {
    const bytes = page.subarray(0, end - at)
    await send(at, bytes)
    at += bytes.length
  }
}

/** Resolves when the stream is done with the bytes itself: that is the back-pressure. */
const writeTo = (
  writable: Writable,
  bytes: Bytes,
  { what, signal }: { what: string; signal: AbortSignal | undefined },
): Promise<void> =>
  new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      writable.off('close', onClose)
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined || error === null) resolve()
      else reject(signal?.aborted === true ? signal.reason : fromStreamError(error, what))
    }
    const onAbort = (): void => settle(signal?.reason)
    const onClose = (): void => settle(Object.assign(new Error('closed'), { code: 'ERR_STREAM_DESTROYED' }))
    writable.on('close', onClose)
    signal?.addEventListener('abort', onAbort, { once: true })
    writable.write(bytes, settle)
  })
