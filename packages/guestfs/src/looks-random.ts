/** Tells encrypted space from empty or unknown space. @module */
import type { AbortOptions, DiskReader } from '@granary/core'

const SAMPLE_BYTES = 64 * 1024

/**
 * True when the first 64 KiB can't be told from random bytes: the chi-square statistic over the 256 byte values,
 * whose mean is 255 and standard deviation 22.6, is within 8 deviations. Compressed data of known kinds, which
 * comes close, has headers; text and code are off by thousands.
 */
export const looksRandom = async (disk: DiskReader, options: AbortOptions): Promise<boolean> => {
  if (disk.sizeBytes < SAMPLE_BYTES) return false
  const sample = new Uint8Array(SAMPLE_BYTES)
  try {
    await disk.read(0, sample, options)
  } catch {
    options.signal?.throwIfAborted()
    return false
  }
  const counts = new Float64Array(256)
  for (const byte of sample) counts[byte] = (counts[byte] as number) + 1
  const expected = SAMPLE_BYTES / 256
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  return Math.abs(chiSquare - 255) < 8 * 22.6
}
