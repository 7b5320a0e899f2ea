/** From a stream, such as standard input, to a disk. @module */
import type { Bytes } from '../bytes.ts'
import { mapOrdered } from '../concurrency/map-ordered.ts'
import type { DiskWriter } from '../disk.ts'
import { GranaryError } from '../errors.ts'
import type { DiskStream } from '../streams/disk-stream.ts'
import { BufferPool } from './buffer-pool.ts'
import type { CopyCounts } from './copy-counts.ts'
import { DEFAULT_BUFFER_BYTES, checkBufferBytes } from './copy-options.ts'
import type { CopyOptions } from './copy-options.ts'
import { targetToCompare, writePiece } from './copy-piece.ts'
import type { ComparableTarget, PieceContent } from './copy-piece.ts'
import { CopyTally } from './copy-tally.ts'
import { StageClock } from './stage-clock.ts'

/** A target that can grow, such as a raw file; one without `resize`, such as a block device, cannot. */
export interface GrowingTarget extends DiskWriter {
  resize?(sizeBytes: number): Promise<void>
}

/** How far ahead of the stream a target grows at a time: seldom enough to cost nothing, and near its final size. */
const GROWTH_BYTES = 1024 ** 3

/**
 * Copies a stream to a disk as `copyDisk` does. A target that can grow gets the size of the stream; any other must be
 * large enough, and keeps what it has behind the end. Closes neither.
 *
 * @throws GranaryError `GRANARY_SIZE` when the stream is longer than the target
 */
export const copyStream = async (
  stream: DiskStream,
  writer: DiskWriter | ComparableTarget | GrowingTarget,
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
  const target = { writer, present, pool: new BufferPool(bufferBytes), clock: new StageClock() }
  const tally = new CopyTally({ clock: target.clock, onProgress })
  const state = present !== undefined ? 'data' : writer.readsZero ? 'zeros' : 'unknown'

  const copy = async (block: Block, pieceSignal: AbortSignal): Promise<[Block, CopyCounts]> => {
    const bytes = block.buffer.subarray(0, block.length)
    const piece: PieceContent = { offset: block.offset, bytes, state }
    const counts = await writePiece(target, piece, pieceSignal)
    target.pool.give(block.buffer)
    return [block, counts]
  }
  const blocks = makeRoom(collectBlocks(stream, { pool: target.pool, bufferBytes, signal }), writer)
  for await (const [{ length }, counts] of mapOrdered(blocks, copy, { concurrency, signal })) {
    tally.add(counts, { doneBytes: length, readBytes: length })
  }
  if ('resize' in writer && stream.sizeBytes !== undefined) await writer.resize?.(stream.sizeBytes)
  await writer.flush({ signal })
  return tally.end()
}

/** A full buffer of the stream; only the last one is shorter. */
interface Block {
  readonly offset: number
  readonly buffer: Bytes
  readonly length: number
}

async function* collectBlocks(
  stream: DiskStream,
  { pool, bufferBytes, signal }: { pool: BufferPool; bufferBytes: number; signal: AbortSignal | undefined },
): AsyncGenerator<Block, void, undefined> {
  let offset = 0
  let filled = 0
  let buffer = pool.take()
  for await (const chunk of stream.chunks({ signal })) {
    for (let taken = 0; taken < chunk.length;) {
      const part = chunk.subarray(taken, taken + bufferBytes - filled)
      buffer.set(part, filled)
      taken += part.length
      filled += part.length
      if (filled < bufferBytes) continue
      yield { offset, buffer, length: filled }
      offset += filled
      filled = 0
      buffer = pool.take()
    }
  }
  if (filled > 0) yield { offset, buffer, length: filled }
}

/** Lets blocks pass when the target has room for them. One at a time, while earlier blocks are being written. */
async function* makeRoom(
  blocks: AsyncIterable<Block>,
  writer: DiskWriter | GrowingTarget,
): AsyncGenerator<Block, void, undefined> {
  for await (const block of blocks) {
    const neededBytes = block.offset + block.length
    if (neededBytes > writer.sizeBytes) {
      if (!('resize' in writer && writer.resize !== undefined)) throw tooLong(neededBytes, writer.sizeBytes)
      await writer.resize(neededBytes + GROWTH_BYTES)
    }
    yield block
  }
}

const tooLong = (neededBytes: number, availableBytes: number): GranaryError =>
  new GranaryError('GRANARY_SIZE', `the stream has at least ${neededBytes} bytes, the target ${availableBytes}`, {
    detail: { neededBytes, availableBytes },
    hint: 'Give a larger target.',
  })
