/** A chunker: parameters, secrets and scratch memory, ready to cut windows. @module */
import { Arena, GranaryError } from '@granary/core'
import type { ArenaSlice, Bytes } from '@granary/core'
import { BLOCK_BYTES, CutList, WINDOW_BYTES } from './cuts.ts'
import type { Cuts, WindowCutter } from './cuts.ts'
import { readChunkerParameters } from './parameters.ts'
import type { ChunkerParameters } from './parameters.ts'
import { checkSecret } from './secrets.ts'
import { strategies } from './strategies/index.ts'

/** Bytes `cutBytes` copies into the arena at a time. */
const COPY_BYTES = 1024 * 1024

/** Cuts windows. Belongs to one thread; its arena may be shared. */
export interface Chunker {
  readonly parameters: ChunkerParameters
  readonly arena: Arena
  /** Most bytes a cutter may hold back: what a caller keeps beside a batch. */
  readonly maxPendingBytes: number
  /**
   * Cuts a whole window that is in the arena.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is longer than `WINDOW_BYTES` or not inside the arena
   */
  cutWindow(pointer: number, length: number): Cuts
  /**
   * Cuts a whole window that is anywhere, by copying it through the arena, 1 MiB at a time.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is longer than `WINDOW_BYTES`
   */
  cutBytes(bytes: Bytes): Cuts
  /** A cutter for a window whose bytes come in batches. */
  openCutter(): WindowCutter
}

export interface ChunkerOptions {
  /** Where the bytes to be cut are. @default an arena of its own, for `cutBytes` */
  readonly arena?: Arena
}

/** Bytes that a chunker takes from its arena once, `cutBytes` included: about 1.1 MiB. */
export const chunkerArenaBytes = ({ strategy }: ChunkerParameters): number =>
  strategies[strategy].arenaBytes + COPY_BYTES + BLOCK_BYTES

/**
 * Opens a chunker. Memory: `chunkerArenaBytes` in the arena, and a list of cuts for each cutter (9 bytes a piece).
 *
 * @param secret 32 bytes of the repository; equal content is cut alike only under equal secrets
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the secret is not 32 bytes
 * @throws GranaryError `GRANARY_UNSUPPORTED` when the parameters are none of the table
 * @throws GranaryError `GRANARY_LIMIT` when the arena is full
 */
export const createChunker = (parameters: ChunkerParameters, secret: Bytes, options: ChunkerOptions = {}): Chunker => {
  checkSecret(secret)
  const sizes = readChunkerParameters(parameters)
  const arena = options.arena ?? new Arena(chunkerArenaBytes(sizes))
  const strategy = strategies[sizes.strategy]
  const opened = strategy.open(sizes, secret, arena)
  const whole = opened.openCutter()
  const cuts = new CutList()
  let copy: ArenaSlice | undefined

  /** Cuts a window in steps, and puts all its pieces in one list. */
  const cutSteps = (length: number, stepBytes: number, push: (offset: number, length: number) => Cuts): Cuts => {
    checkWindow(length)
    cuts.count = 0
    for (let offset = 0; offset < length; offset += stepBytes)
      append(cuts, push(offset, Math.min(stepBytes, length - offset)))
    append(cuts, whole.finish())
    return cuts
  }

  return {
    parameters: sizes,
    arena,
    maxPendingBytes: strategy.maxPendingBytes(sizes),
    openCutter: () => opened.openCutter(),
    cutWindow(pointer, length) {
      checkInside(arena, pointer, length)
      return cutSteps(length, Math.max(length, 1), offset => whole.push(pointer + offset, length))
    },
    cutBytes(bytes) {
      copy ??= arena.allocate(COPY_BYTES)
      const { pointer, bytes: target } = copy
      return cutSteps(bytes.length, COPY_BYTES, (offset, length) => {
        target.set(bytes.subarray(offset, offset + length))
        return whole.push(pointer, length)
      })
    },
  }
}

const append = (list: CutList, { count, lengths, kinds }: Cuts): void => {
  for (let piece = 0; piece < count; piece++) list.add(lengths[piece] as number, kinds[piece] as number)
}

const checkWindow = (length: number): void => {
  if (length <= WINDOW_BYTES) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `window of ${length} bytes: expected at most ${WINDOW_BYTES}`, {
    detail: { argument: 'length', expected: WINDOW_BYTES, got: length },
  })
}

const checkInside = (arena: Arena, pointer: number, length: number): void => {
  if (pointer >= 0 && length >= 0 && pointer + length <= arena.memory.buffer.byteLength) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${length} bytes at ${pointer} are not inside the arena`, {
    detail: { pointer, length, arenaBytes: arena.memory.buffer.byteLength },
  })
}
