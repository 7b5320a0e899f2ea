/** Writes a buffer without writing its zeros, or only where it differs from what is there. @module */
import type { Bytes } from '../bytes.ts'
import type { DiskWriter } from '../disk.ts'
import { isZero, zeroRuns } from '../zero-scan.ts'
import { noCounts } from './copy-counts.ts'
import type { MutableCounts } from './copy-counts.ts'

/** Smallest unit that is compared, bytes. */
const COMPARE_BYTES = 4096

export interface WriteSparselyOptions {
  /** True where the target is known to read as zeros, so that zeros need nothing. */
  readonly isZeroed: boolean
  readonly signal?: AbortSignal | undefined
}

/** Writes the data of `bytes`, and sees to it that the rest reads as zeros. */
export const writeSparsely = async (
  writer: DiskWriter,
  offset: number,
  bytes: Bytes,
  { isZeroed, signal }: WriteSparselyOptions,
): Promise<MutableCounts> => {
  const counts = noCounts()
  for (const run of zeroRuns(bytes)) {
    const at = offset + run.offset
    counts[run.isZero ? 'zeroBytes' : 'dataBytes'] += run.length
    if (!run.isZero) {
      await writer.write(at, bytes.subarray(run.offset, run.offset + run.length), { signal })
      counts.writtenBytes += run.length
    } else if (isZeroed) counts.unchangedBytes += run.length
    else {
      await writer.zero(at, run.length, { punch: true, signal })
      counts.zeroedBytes += run.length
    }
  }
  return counts
}

export interface WriteChangesOptions {
  /** What shall be there. */
  readonly bytes: Bytes
  /** What is there, of the same length. */
  readonly present: Bytes
  readonly signal?: AbortSignal | undefined
}

type Change = 'same' | 'zero' | 'data'

/** Writes the blocks of `bytes` that differ from `present`, and no others. */
export const writeChanges = async (
  writer: DiskWriter,
  offset: number,
  { bytes, present, signal }: WriteChangesOptions,
): Promise<MutableCounts> => {
  const counts = noCounts()
  let start = 0
  while (start < bytes.length) {
    const change = changeAt(bytes, present, start)
    let end = blockEnd(bytes, start)
    while (end < bytes.length && changeAt(bytes, present, end) === change) end = blockEnd(bytes, end)
    const length = end - start
    if (change === 'same') counts.unchangedBytes += length
    else if (change === 'zero') {
      await writer.zero(offset + start, length, { punch: true, signal })
      counts.zeroedBytes += length
    } else {
      await writer.write(offset + start, bytes.subarray(start, end), { signal })
      counts.writtenBytes += length
    }
    start = end
  }
  for (const run of zeroRuns(bytes)) counts[run.isZero ? 'zeroBytes' : 'dataBytes'] += run.length
  return counts
}

const changeAt = (bytes: Bytes, present: Bytes, start: number): Change => {
  const end = blockEnd(bytes, start)
  if (Buffer.compare(bytes.subarray(start, end), present.subarray(start, end)) === 0) return 'same'
  return isZero(bytes, start, end) ? 'zero' : 'data'
}

const blockEnd = (bytes: Bytes, start: number): number => Math.min(start + COMPARE_BYTES, bytes.length)
