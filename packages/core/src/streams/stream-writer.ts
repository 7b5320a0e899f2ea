/** A disk written out as a stream, such as to standard output. @module */
import type { Writable } from 'node:stream'
import type { Bytes } from '../bytes.ts'
import { mapOrdered } from '../concurrency/map-ordered.ts'
import { BufferPool } from '../copy/buffer-pool.ts'
import { DEFAULT_BUFFER_BYTES, checkBufferBytes } from '../copy/copy-options.ts'
import type { CopyOptions } from '../copy/copy-options.ts'
import { copyPieces } from '../copy/copy-pieces.ts'
import type { CopyPiece } from '../copy/copy-pieces.ts'
import { CopyTally } from '../copy/copy-tally.ts'
import { COUNT_BY_KIND, noCounts } from '../copy/copy-counts.ts'
import type { CopyCounts } from '../copy/copy-counts.ts'
import { StageClock } from '../copy/stage-clock.ts'
import type { DiskReader } from '../disk.ts'
import { zeros } from '../zero-scan.ts'
import { fromStreamError } from './disk-stream.ts'

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
    const pool = new BufferPool(bufferBytes)
    const clock = new StageClock()
    const tally = new CopyTally({ clock, totalBytes: reader.sizeBytes, onProgress })
    const read = async (piece: CopyPiece, pieceSignal: AbortSignal): Promise<{ piece: CopyPiece; buffer?: Bytes }> => {
      if (piece.kind !== 'data') return { piece }
      const buffer = pool.take()
      await clock.time('source', reader.read(piece.offset, buffer.subarray(0, piece.length), { signal: pieceSignal }))
      return { piece, buffer }
    }
    const send = async (offset: number, bytes: Bytes): Promise<void> => {
      signal?.throwIfAborted()
      await clock.time('target', writeTo(writable, bytes, { what: `writing to ${name} at ${offset}`, signal }))
    }
    // A failing stream emits its error after the callback, too. Without a listener that would end the process; the one
    // added here stays with a stream that failed, since nothing more comes from it.
    writable.on('error', ignore)
    const pieces = copyPieces(reader, { bufferBytes, target: 'zeros', signal })
    for await (const { piece, buffer } of mapOrdered(pieces, read, { concurrency, signal })) {
      if (buffer === undefined) await sendZeros(piece, send)
      else {
        await send(piece.offset, buffer.subarray(0, piece.length))
        pool.give(buffer)
      }
      tally.add(
        { ...noCounts(), [COUNT_BY_KIND[piece.kind]]: piece.length, writtenBytes: piece.length },
        { doneBytes: piece.length, readBytes: buffer === undefined ? 0 : piece.length },
      )
    }
    writable.off('error', ignore)
    return tally.end()
  },
})

const ignore = (): void => undefined

const sendZeros = async (piece: CopyPiece, send: (offset: number, bytes: Bytes) => Promise<void>): Promise<void> => {
  const end = piece.offset + piece.length
  for (let at = piece.offset; at < end;) {
    const bytes = zeros(end - at)
    await send(at, bytes)
    at += bytes.length
  }
}

/** Resolves when the stream has taken the bytes and they may be used again. */
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
