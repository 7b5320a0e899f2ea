/** From any disk to any disk. @module */
import { mapOrdered } from '../concurrency/map-ordered.ts'
import type { DiskReader, DiskWriter } from '../disk.ts'
import { GranaryError } from '../errors.ts'
import { BufferPool } from './buffer-pool.ts'
import type { CopyCounts } from './copy-counts.ts'
import { DEFAULT_BUFFER_BYTES, checkBufferBytes } from './copy-options.ts'
import type { CopyOptions } from './copy-options.ts'
import { copyPiece, targetToCompare } from './copy-piece.ts'
import type { ComparableTarget } from './copy-piece.ts'
import { copyPieces } from './copy-pieces.ts'
import type { CopyPiece } from './copy-pieces.ts'
import { CopyTally } from './copy-tally.ts'
import { StageClock } from './stage-clock.ts'

/**
 * Copies a whole disk: holes stay holes, zeros are found and not written, several pieces are in flight, and the target is
 * durable at the end. A target that is larger keeps what it has behind the end of the source. Closes neither disk.
 *
 * @throws GranaryError `GRANARY_SIZE` when the target is smaller than the source, before anything is written;
 *   `GRANARY_INVALID_ARGUMENT` when `differencesOnly` is asked of a target that cannot be read
 */
export const copyDisk = async (
  reader: DiskReader,
  writer: DiskWriter | ComparableTarget,
  {
    signal,
    onProgress,
    concurrency = 4,
    bufferBytes = DEFAULT_BUFFER_BYTES,
    differencesOnly = false,
  }: CopyOptions = {},
): Promise<CopyCounts> => {
  checkBufferBytes(bufferBytes)
  const present = targetToCompare(writer, differencesOnly)
  checkFits(reader.sizeBytes, writer.sizeBytes)
  const target = { writer, present, pool: new BufferPool(bufferBytes), clock: new StageClock() }
  const tally = new CopyTally({ clock: target.clock, totalBytes: reader.sizeBytes, onProgress })

  const state = present ?? (writer.readsZero ? 'zeros' : 'unknown')
  const pieces = copyPieces(reader, { bufferBytes, target: state, signal })
  const copy = async (piece: CopyPiece, pieceSignal: AbortSignal): Promise<[CopyPiece, CopyCounts]> => [
    piece,
    await copyPiece(reader, target, piece, pieceSignal),
  ]
  for await (const [piece, counts] of mapOrdered(pieces, copy, { concurrency, signal })) {
    tally.add(counts, { doneBytes: piece.length, readBytes: piece.kind === 'data' ? piece.length : 0 })
  }
  await writer.flush({ signal })
  return tally.end()
}

const checkFits = (neededBytes: number, availableBytes: number): void => {
  if (availableBytes >= neededBytes) return
  throw new GranaryError('GRANARY_SIZE', `the target has ${availableBytes} bytes, the source ${neededBytes}`, {
    detail: { neededBytes, availableBytes },
    hint: 'Give a larger target.',
  })
}
