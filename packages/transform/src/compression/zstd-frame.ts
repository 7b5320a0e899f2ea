/** What a stored zstd frame must be like; anything else is damage, found before a decoder sees it. @module */
import { GranaryError, zstdFrameAt } from '@granary/core'
import type { Bytes, ZstdFrame } from '@granary/core'

/** Largest window of levels up to 19, bytes; more is refused, as a decoder would allocate it. */
const MAX_WINDOW_BYTES = 8 * 1024 * 1024

/**
 * Checks that `bytes` are exactly one frame that may hold `plainLengthBytes` bytes: no dictionary, no window that levels up
 * to 19 don't use, no other content size, whole blocks to the end and nothing behind.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when they are not
 */
export const readZstdFrame = (bytes: Bytes, plainLengthBytes: number): ZstdFrame => {
  const frame = zstdFrameAt(bytes, 0)
  if (frame === undefined) throw corrupt('no whole frame', bytes)
  const { end, mostBytes, contentBytes = plainLengthBytes, windowBytes } = frame
  if (frame.isSkippable) throw corrupt('a skippable frame', bytes)
  if (frame.hasDictionary) throw corrupt('a dictionary', bytes)
  if (contentBytes !== plainLengthBytes) throw corrupt(`content of ${contentBytes} bytes`, bytes)
  if (windowBytes > Math.max(MAX_WINDOW_BYTES, plainLengthBytes))
    throw corrupt(`a window of ${windowBytes} bytes`, bytes)
  if (end !== bytes.length) throw corrupt(`${bytes.length - end} bytes after its last block`, bytes)
  if (mostBytes < plainLengthBytes) throw corrupt(`blocks of at most ${mostBytes} bytes`, bytes)
  return frame
}

const corrupt = (found: string, { length }: Bytes): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `zstd frame of ${length} bytes: found ${found}`, {
    detail: { lengthBytes: length, found },
  })
