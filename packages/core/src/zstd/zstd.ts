/** zstd through the best engine there is here. See docs/decisions/0003-zstd.md. @module */
import type { Bytes } from '../bytes.ts'
import type { ZstdEngine } from './zstd-engine.ts'
import type { ZstdFrame } from './zstd-frame.ts'
import { loadZstdAddon, loadZstdNode } from './zstd-native.ts'
import { loadZstdSystem } from './zstd-system.ts'
import { loadZstdWasm } from './zstd-wasm.ts'

/** The engines of this machine, each loaded when it is first asked for; undefined is what it lacks. */
export interface ZstdEngines {
  readonly system: ZstdEngine | undefined
  readonly node: ZstdEngine | undefined
  readonly native: ZstdEngine | undefined
  readonly wasm: ZstdEngine
}

const once = <Value>(load: () => Value): (() => Value) => {
  let loaded: { readonly value: Value } | undefined
  return () => (loaded ??= { value: load() }).value
}

const system = once(loadZstdSystem)
const node = once(loadZstdNode)
const native = once(loadZstdAddon)
const wasm = once(loadZstdWasm)

export const zstdEngines = (): ZstdEngines => ({
  get system() {
    return system()
  },
  get node() {
    return node()
  },
  get native() {
    return native()
  },
  get wasm() {
    return wasm()
  },
})

/** The fastest to compress on this machine. The system's is slower than the others, and takes a context for every block. */
export const defaultZstdCompressor = (): ZstdEngine => node() ?? native() ?? wasm()

/**
 * The fastest to decompress on this machine: the one that needs no memory of its own for the result. A thread that uses it
 * must end by itself: koffi aborts the process when its thread is terminated while it is being loaded.
 */
export const defaultZstdDecompressor = (): ZstdEngine => system() ?? node() ?? native() ?? wasm()

/**
 * How much more than there is room for an engine without a bound of its own may come to hold, bytes. Frames whose blocks
 * could regenerate more go to one that is bounded: encoders cut blocks short where it pays, but seldom that often.
 */
const UNBOUNDED_SLACK_BYTES = 16 * 1024 * 1024

/** Largest window such an engine is given, bytes: that of levels up to 19. */
const UNBOUNDED_WINDOW_BYTES = 8 * 1024 * 1024

/**
 * Decodes one frame to the start of `target`, never holding much more than that has room for.
 *
 * @param frame what `zstdFrameAt` says of `bytes`, which are this frame and nothing else
 * @returns bytes written; throws whatever a library throws, when the frame is damaged or there is no room
 */
export const decodeZstdFrame = (
  bytes: Bytes,
  frame: ZstdFrame,
  target: Bytes,
  engine: ZstdEngine = defaultZstdDecompressor(),
): number => {
  const isSafe =
    engine.isBounded ||
    (frame.mostBytes <= target.length + UNBOUNDED_SLACK_BYTES && frame.windowBytes <= UNBOUNDED_WINDOW_BYTES)
  return (isSafe ? engine : wasm()).decompress(bytes, target)
}
