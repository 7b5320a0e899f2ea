/** zstd frames as they are stored. @module */
import { GranaryError, decodeZstdFrame } from '@granary/core'
import type { Bytes, ZstdEngine } from '@granary/core'
import { readZstdFrame } from './zstd-frame.ts'

/**
 * Fills `target` with what a zstd frame holds.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when the frame is damaged, is more than one frame, or holds another number of bytes
 */
export const decompressZstd = (bytes: Bytes, target: Bytes, engine?: ZstdEngine): void => {
  const frame = readZstdFrame(bytes, target.length)
  let length: number
  try {
    length = decodeZstdFrame(bytes, frame, target, engine)
  } catch (cause) {
    throw damaged(bytes.length, target.length, cause)
  }
  if (length !== target.length) throw damaged(bytes.length, target.length)
}

const damaged = (lengthBytes: number, plainLengthBytes: number, cause?: unknown): GranaryError =>
  new GranaryError(
    'GRANARY_CORRUPT',
    `zstd frame of ${lengthBytes} bytes does not hold the ${plainLengthBytes} bytes it should`,
    { detail: { lengthBytes, plainLengthBytes }, cause },
  )
