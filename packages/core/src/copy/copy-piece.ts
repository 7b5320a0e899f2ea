/** One piece of a copy: what is done depends on what source and target are known to hold. @module */
import type { Bytes } from '../bytes.ts'
import type { DiskReader, DiskWriter } from '../disk.ts'
import { GranaryError } from '../errors.ts'
import { zeros } from '../zero-scan.ts'
import type { BufferPool } from './buffer-pool.ts'
import { COUNT_BY_KIND, addCounts, noCounts } from './copy-counts.ts'
import type { CopyCounts } from './copy-counts.ts'
import type { CopyPiece, TargetState } from './copy-pieces.ts'
import type { StageClock } from './stage-clock.ts'
import { writeChanges, writeSparsely } from './write-sparsely.ts'

/** A target that can show what it holds. */
export type ComparableTarget = DiskReader & DiskWriter

export interface CopyTarget {
  readonly writer: DiskWriter
  /** The same disk, where it is compared with; its pieces have the target state `data`. */
  readonly present: DiskReader | undefined
  readonly pool: BufferPool
  readonly clock: StageClock
}

/**
 * What the target is like, for all pieces alike.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it shall be compared and cannot be read
 */
export const targetToCompare = (
  writer: DiskWriter | ComparableTarget,
  differencesOnly: boolean,
): DiskReader | undefined => {
  if (!differencesOnly) return undefined
  if ('read' in writer && 'extents' in writer) return writer
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'differencesOnly needs a target that can be read')
}

/** Copies one piece of any kind. */
export const copyPiece = async (
  reader: DiskReader,
  target: CopyTarget,
  piece: CopyPiece,
  signal: AbortSignal,
): Promise<CopyCounts> => {
  if (piece.kind === 'data') {
    return await target.pool.borrow(async buffer => {
      const bytes = buffer.subarray(0, piece.length)
      await target.clock.time('source', reader.read(piece.offset, bytes, { signal }))
      return await writePiece(target, { offset: piece.offset, bytes, state: piece.target }, signal)
    })
  }
  const counts = noCounts()
  if (piece.target === 'zeros') counts.unchangedBytes = piece.length
  else if (piece.target === 'unknown') {
    await target.clock.time('target', target.writer.zero(piece.offset, piece.length, { punch: true, signal }))
    counts.zeroedBytes = piece.length
  } else addCounts(counts, await clearPiece(target, piece, signal))
  return { ...counts, zeroBytes: 0, [COUNT_BY_KIND[piece.kind]]: piece.length } // As the source says, not as compared.
}

export interface PieceContent {
  readonly offset: number
  readonly bytes: Bytes
  readonly state: TargetState
}

/** Writes what was read. */
export const writePiece = async (
  { writer, present, pool, clock }: CopyTarget,
  { offset, bytes, state }: PieceContent,
  signal: AbortSignal,
): Promise<CopyCounts> => {
  if (state !== 'data' || present === undefined) {
    return await clock.time('target', writeSparsely(writer, offset, bytes, { isZeroed: state === 'zeros', signal }))
  }
  return await pool.borrow(async buffer => {
    const there = buffer.subarray(0, bytes.length)
    await clock.time('target', present.read(offset, there, { signal }))
    return await clock.time('target', writeChanges(writer, offset, { bytes, present: there, signal }))
  })
}

/** Zeros over data: zeroes what is not zero yet. */
const clearPiece = async (
  target: CopyTarget,
  { offset, length }: CopyPiece,
  signal: AbortSignal,
): Promise<CopyCounts> => {
  const counts = noCounts()
  for (let done = 0; done < length;) {
    const bytes = zeros(length - done)
    addCounts(counts, await writePiece(target, { offset: offset + done, bytes, state: 'data' }, signal))
    done += bytes.length
  }
  return counts
}
