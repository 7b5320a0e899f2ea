/** Clusters through a pool of workers: what is read from the file goes straight into the memory that they share. @module */
import type { Bytes } from '@granary/core'
import type { CompressClusters } from './cluster-writer.ts'
import { SLOT_BYTES } from './codec-job.ts'
import type { CodecItem } from './codec-job.ts'
import type { CodecPool, HeldSlot } from './codec-pool.ts'
import type { Compressor } from './compress.ts'
import type { Compression } from './header.ts'
import { storedLength } from './layer.ts'
import type { CompressedPiece, ReadCompressed } from './layer.ts'
import type { RandomFile } from './random-file.ts'

/** Fewer bytes than this are not worth a round trip to another thread. */
const MIN_POOLED_BYTES = 128 * 1024
/** Compressed clusters closer than this are read at once, bytes. */
const MAX_GAP_BYTES = 4096

/** Reads whole compressed clusters with the help of workers; undefined where there are none. */
export const pooledReader = (
  pool: CodecPool,
  file: RandomFile,
  compression: Compression,
  clusterBytes: number,
): ReadCompressed | undefined => {
  if (pool.size === 0) return undefined
  return {
    isWorthIt: count => count > 1 && count * clusterBytes >= MIN_POOLED_BYTES && pool.isReady,
    group: pieces => groups(pieces, pool.size, clusterBytes),
    read: pieces =>
      pool.withSlot(async slot => {
        const output = sharedTarget(pieces)
        const items = await fillInput(slot, file, pieces, clusterBytes)
        if (output !== undefined) return void (await slot.run({ compression, output }, toTargets(items, pieces)))
        await slot.run({ compression }, items)
        for (const [index, { target }] of pieces.entries())
          target.set(slot.output.subarray(index * clusterBytes, (index + 1) * clusterBytes))
      }),
  }
}

/** The shared memory that all pieces go to, if so: then the workers write there themselves. */
const sharedTarget = (pieces: readonly CompressedPiece[]): SharedArrayBuffer | undefined => {
  const memory = pieces[0]?.target.buffer
  return memory instanceof SharedArrayBuffer && pieces.every(({ target }) => target.buffer === memory)
    ? memory
    : undefined
}

const toTargets = (items: readonly CodecItem[], pieces: readonly CompressedPiece[]): CodecItem[] =>
  items.map((item, index) => ({ ...item, outputAt: (pieces[index] as CompressedPiece).target.byteOffset }))

/** Cuts the work so that every worker gets some and every group fits into a slot. */
const groups = (pieces: readonly CompressedPiece[], workers: number, clusterBytes: number): CompressedPiece[][] => {
  const share = Math.max(Math.ceil(pieces.length / (workers * 2)), Math.ceil(MIN_POOLED_BYTES / clusterBytes))
  const cut: CompressedPiece[][] = []
  let group: CompressedPiece[] = []
  let inputBytes = 0
  for (const piece of pieces) {
    const next = piece.run.storedBytes + MAX_GAP_BYTES
    const isFull =
      group.length >= share || (group.length + 1) * clusterBytes > SLOT_BYTES || inputBytes + next > SLOT_BYTES
    if (isFull && group.length > 0) {
      cut.push(group)
      group = []
      inputBytes = 0
    }
    group.push(piece)
    inputBytes += next
  }
  if (group.length > 0) cut.push(group)
  return cut
}

const fillInput = async (
  slot: HeldSlot,
  file: RandomFile,
  pieces: readonly CompressedPiece[],
  clusterBytes: number,
): Promise<CodecItem[]> => {
  const items: CodecItem[] = []
  const spans: { host: number; end: number; at: number }[] = []
  let filled = 0
  for (const [index, { run }] of pieces.entries()) {
    const host = run.host as number
    const inputBytes = storedLength(file, run)
    const end = host + inputBytes
    const last = spans.at(-1)
    const isNear = last !== undefined && host >= last.host && host <= last.end + MAX_GAP_BYTES
    const span = isNear ? last : { host, end: host, at: filled }
    if (!isNear) spans.push(span)
    filled += Math.max(0, end - span.end)
    span.end = Math.max(span.end, end)
    items.push({
      inputAt: span.at + host - span.host,
      inputBytes,
      outputAt: index * clusterBytes,
      outputBytes: clusterBytes,
    })
  }
  await Promise.all(spans.map(({ host, end, at }) => file.read(host, slot.input.subarray(at, at + end - host))))
  return items
}

/** Compresses clusters with the help of workers, and a few of them without. */
export const pooledCompressor = (
  pool: CodecPool,
  compression: Compression,
  level: number,
  compress: Compressor,
): CompressClusters => {
  return async clusters => {
    if (clusters.length * (clusters[0]?.length ?? 0) < MIN_POOLED_BYTES || !pool.isReady) return clusters.map(compress)
    const results: (Bytes | undefined)[] = Array.from({ length: clusters.length })
    const clusterBytes = clusters[0]?.length ?? 1
    const share = Math.max(1, Math.min(Math.floor(SLOT_BYTES / clusterBytes), Math.ceil(clusters.length / pool.size)))
    const starts = Array.from({ length: Math.ceil(clusters.length / share) }, (_, index) => index * share)
    await Promise.all(
      starts.map(first =>
        pool.withSlot(async slot => {
          const group = clusters.slice(first, first + share)
          const items = group.map((cluster, index) => {
            slot.input.set(cluster, index * clusterBytes)
            const at = index * clusterBytes
            return { inputAt: at, inputBytes: clusterBytes, outputAt: at, outputBytes: clusterBytes }
          })
          const lengths = await slot.run({ compression, level }, items)
          for (const [index, length] of lengths.entries())
            if (length > 0)
              results[first + index] = slot.output.slice(index * clusterBytes, index * clusterBytes + length)
        }),
      ),
    )
    return results
  }
}
