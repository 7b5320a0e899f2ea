/** Stores a window of which only some ranges changed since the parent: the rest keeps its chunks, unread. @module */
import { recutWindow } from '@granary/chunker'
import { decodeLeaf } from '../map/map-nodes.ts'
import type { Piece } from '../map/map-nodes.ts'
import { LeafBuilder } from './leaf-builder.ts'
import type { WindowJob, WindowResult } from './window-job.ts'
import type { WindowWorker } from './window-worker.ts'

/** The leaf is the one a full read would give. */
export const storeChangedWindow = async (
  worker: WindowWorker,
  job: WindowJob,
  { leaf, changes }: NonNullable<WindowJob['parent']>,
): Promise<Omit<WindowResult, 'times'>> => {
  const { length, offset } = job
  const before: readonly Piece[] = typeof leaf === 'string' ? [{ kind: leaf, length }] : decodeLeaf(leaf, length)
  const parent = before.map(piece => ({
    length: piece.length,
    kind: piece.kind === 'chunk' ? ('data' as const) : piece.kind,
  }))
  const stats = { readBytes: 0, dataBytes: 0, newBytes: 0, storedBytes: 0, chunks: 0, newChunks: 0 }
  const builder = new LeafBuilder(job.ranges)
  const read = async (at: number, target: Uint8Array): Promise<void> => {
    stats.readBytes += target.length
    await worker.read(job, offset + at, target)
  }
  for await (const piece of recutWindow({
    chunker: worker.chunker,
    buffer: worker.input,
    length,
    parent,
    changes,
    read,
  })) {
    if (piece.kind !== 'data') {
      builder.addZeros(piece.length)
      continue
    }
    stats.chunks++
    stats.dataBytes += piece.length
    if (piece.from === 'parent') {
      builder.addChunk(piece.length, (before[piece.piece] as { id: Uint8Array }).id)
      continue
    }
    const { bytes } = piece.slice
    const id = worker.idOf(bytes)
    const { newBytes, storedBytes, newChunks } = await worker.storeChunks([{ bytes, id }])
    stats.newBytes += newBytes
    stats.storedBytes += storedBytes
    stats.newChunks += newChunks
    builder.addChunk(piece.length, id)
  }
  return { leaf: builder.finish(), stats }
}
