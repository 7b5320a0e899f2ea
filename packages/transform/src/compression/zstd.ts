/** zstd through the best engine there is here. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { loadZstdEngines } from './zstd-engines.ts'
import type { ZstdEngine } from './zstd-engines.ts'
import { readZstdFrame } from './zstd-frame.ts'

/**
 * How much more than expected an engine without a bound of its own may come to hold, bytes. Frames whose blocks could
 * regenerate more go to the engine that is bounded: encoders cut blocks short where it pays, but seldom that often.
 */
const UNBOUNDED_SLACK_BYTES = 16 * 1024 * 1024

let engines: ReturnType<typeof loadZstdEngines> | undefined

const allEngines = (): ReturnType<typeof loadZstdEngines> => (engines ??= loadZstdEngines())

/** The engine used when none is given: Node's own, else the native addon, else WebAssembly. */
export const defaultZstdEngine = (): ZstdEngine => allEngines().node ?? allEngines().native ?? allEngines().wasm

/**
 * The `plainLengthBytes` bytes in a zstd frame.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when the frame is damaged, is more than one frame, or holds another number of bytes
 */
export const decompressZstd = (
  frame: Bytes,
  plainLengthBytes: number,
  engine: ZstdEngine = defaultZstdEngine(),
): Bytes => {
  const { mostBytes } = readZstdFrame(frame, plainLengthBytes)
  const isSafe = engine.isBounded || mostBytes <= plainLengthBytes + UNBOUNDED_SLACK_BYTES
  const plain = decode(isSafe ? engine : allEngines().wasm, frame, plainLengthBytes)
  if (plain.length !== plainLengthBytes) throw damaged(frame.length, plainLengthBytes)
  return plain
}

const decode = (engine: ZstdEngine, frame: Bytes, plainLengthBytes: number): Bytes => {
  try {
    return engine.decompress(frame, plainLengthBytes)
  } catch (cause) {
    throw damaged(frame.length, plainLengthBytes, cause)
  }
}

const damaged = (lengthBytes: number, plainLengthBytes: number, cause?: unknown): GranaryError =>
  new GranaryError(
    'GRANARY_CORRUPT',
    `zstd frame of ${lengthBytes} bytes does not hold the ${plainLengthBytes} bytes it should`,
    { detail: { lengthBytes, plainLengthBytes }, cause },
  )
