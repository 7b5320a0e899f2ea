/** Disks that fail, end early, or wait: what real sources do, at a place of the test's choice. @module */
import { GranaryError } from '@granary/core'
import type { DiskReader } from '@granary/core'

export interface FaultyReaderOptions {
  /** Reads that touch this offset fail. @default none */
  readonly errorAt?: number
  /** What they fail with. @default GranaryError `GRANARY_IO` */
  readonly error?: unknown
  /** The source was cut here: reads beyond fail as a raw file's do (`GRANARY_SIZE`). @default not cut */
  readonly endsAt?: number
  /** How many reads that would fail do so; later ones work. @default all */
  readonly failures?: number
}

/** Shows `disk`, with faults. Its extents are those of `disk`. */
export const faultyReader = (
  disk: DiskReader,
  { errorAt = Infinity, error, endsAt = Infinity, failures = Infinity }: FaultyReaderOptions,
): DiskReader => {
  let left = failures
  return wrapReader(disk, async (offset, target, options) => {
    const end = offset + target.length
    if (left > 0 && offset <= errorAt && errorAt < end) {
      left--
      throw error ?? new GranaryError('GRANARY_IO', `injected: reading at ${errorAt}`, { detail: { offset: errorAt } })
    }
    if (left > 0 && end > endsAt) {
      left--
      throw new GranaryError('GRANARY_SIZE', `injected: the source ends at ${endsAt}`, { detail: { offset: endsAt } })
    }
    await disk.read(offset, target, options)
  })
}

/** Shows `disk`; each read first waits for `gate`, which is told where the read goes and gets its signal. */
export const gatedReader = (
  disk: DiskReader,
  gate: (offset: number, signal: AbortSignal | undefined) => Promise<void>,
): DiskReader =>
  wrapReader(disk, async (offset, target, options) => {
    await gate(offset, options?.signal)
    await disk.read(offset, target, options)
  })

const wrapReader = (disk: DiskReader, read: DiskReader['read']): DiskReader => ({
  sizeBytes: disk.sizeBytes,
  blockBytes: disk.blockBytes,
  read,
  extents: options => disk.extents(options),
  [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
})
