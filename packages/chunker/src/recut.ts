/**
 * Cuts one window of a disk: all of it, or only what changed since a parent, reading as little as the cuts allow.
 *
 * @see docs/formats/chunking.md, section "Cutting a changed window"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions, ArenaSlice, Bytes, ExtentKind } from '@granary/core'
import type { Chunker } from './chunker.ts'
import { BLOCK_BYTES, DATA } from './cuts.ts'
import type { Cuts, WindowCutter } from './cuts.ts'
import { CLEAN, NOW_ZERO, planRecut } from './recut-plan.ts'
import type { ParentPiece, ParentRun, RecutPlan, WindowChange } from './recut-plan.ts'
import { strategies } from './strategies/index.ts'
import type { RecutRule } from './strategies/strategy.ts'

export interface RecutOptions extends AbortOptions {
  readonly chunker: Chunker
  /** Room in the chunker's arena, `leastRecutBytes` or more: the bytes of new chunks are given out from here. */
  readonly buffer: ArenaSlice
  /** Bytes of the window: `WINDOW_BYTES`, or less at the end of the disk. */
  readonly length: number
  /** The window's pieces in the parent, cut with the same parameters and secret. Without: all is cut. */
  readonly parent?: readonly ParentPiece[] | undefined
  /**
   * What may differ from the parent, in ascending order, offsets from the start of the window. Without a parent only
   * zeros and holes matter: they are not read.
   */
  readonly changes: readonly WindowChange[]
  /** Fills `target` with what is at `offset` of the window now. */
  read(offset: number, target: Bytes, options: AbortOptions): Promise<void>
}

/** A piece of the window as it is now. Pieces come in order and cover it. */
export type WindowPiece =
  /** As in the parent: its piece of this place in the list. */
  | {
      readonly from: 'parent'
      readonly piece: number
      readonly offset: number
      readonly length: number
      readonly kind: ExtentKind
    }
  /** A chunk; its bytes hold until the next piece is asked for. */
  | {
      readonly from: 'disk'
      readonly kind: 'data'
      readonly offset: number
      readonly length: number
      readonly slice: ArenaSlice
    }
  /** Reads as zeros; whether it is a hole is for the caller to know. */
  | { readonly from: 'disk'; readonly kind: 'zero'; readonly offset: number; readonly length: number }

/** Zeros put into the buffer at a time, until they are known to be a zero run: the length of the shortest one. */
const ZERO_STEP_BYTES = 32 * 1024

/** The least room `recutWindow` works with: a chunk that is held back, and as much again to read into. */
export const leastRecutBytes = ({ maxPendingBytes }: Chunker): number =>
  2 * Math.ceil(maxPendingBytes / BLOCK_BYTES) * BLOCK_BYTES

/**
 * Gives the pieces a full cut of the window would give, whatever changed: those that are as in the parent by their place
 * there, others with their bytes.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the buffer is too small or elsewhere, or pieces or changes are out
 *   of order
 */
export async function* recutWindow(options: RecutOptions): AsyncGenerator<WindowPiece, void, undefined> {
  const { chunker, buffer, length, parent, changes } = options
  checkBuffer(chunker, buffer)
  const { parameters } = chunker
  const rule = strategies[parameters.strategy].recut(parameters)
  const plan = planRecut(length, parent, changes, rule)
  const { runs } = plan
  const parentPieces = new ParentPieces(runs, parent ?? [])
  const window = new WindowReader(options, plan, rule)
  let next = 0
  for (let changed = nextChanged(runs, 0); changed < runs.length; changed = nextChanged(runs, next)) {
    const { restart } = runs[changed] as ParentRun
    while (next < restart) yield* parentPieces.of(runs[next++] as ParentRun)
    window.restart(runs[next] as ParentRun)
    let run: ParentRun
    do {
      run = runs[next++] as ParentRun
      for await (const piece of window.cut(run)) yield* parentPieces.orNew(piece)
    } while (next < runs.length && !window.isAsBefore(run, runs[next] as ParentRun))
    for (const piece of window.finish()) yield* parentPieces.orNew(piece)
  }
  while (next < runs.length) yield* parentPieces.of(runs[next++] as ParentRun)
}

const checkBuffer = (chunker: Chunker, { bytes }: ArenaSlice): void => {
  const expected = leastRecutBytes(chunker)
  const isInArena = bytes.buffer === chunker.arena.memory.buffer
  if (isInArena && bytes.length >= expected) return
  const message = `buffer of ${bytes.length} bytes: expected ${expected} or more, in the chunker's arena`
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', message, {
    detail: { argument: 'buffer', expected, got: bytes.length, isInArena },
  })
}

const nextChanged = (runs: readonly ParentRun[], from: number): number => {
  let place = from
  while (place < runs.length && runs[place]?.isClean === true) place++
  return place
}

/** Feeds a cutter with the window from a restart on, and finds the bytes of the chunks it makes. */
class WindowReader {
  readonly #options: RecutOptions
  readonly #plan: RecutPlan
  readonly #cutter: WindowCutter
  readonly #stepBytes: number
  /** Where in the window the first byte of the buffer is. */
  #base = 0
  /** Where in the window the cutter is. */
  #at = 0
  /** Where the next piece begins. */
  #pieceAt = 0

  constructor(options: RecutOptions, plan: RecutPlan, { stepBytes }: RecutRule) {
    this.#options = options
    this.#plan = plan
    this.#cutter = options.chunker.openCutter()
    this.#stepBytes = stepBytes
  }

  restart({ offset }: ParentRun): void {
    this.#base = offset
    this.#at = offset
    this.#pieceAt = offset
  }

  /**
   * True when the cutter stands at a cut behind which nothing changed up to the end of `next`: what follows is then as in
   * the parent. A zero run ends here only when the parent's ended here too: a chunk behind another one may begin with
   * zeros, which now belong to the run.
   */
  isAsBefore(previous: ParentRun, next: ParentRun): boolean {
    if (!next.isClean || this.#cutter.pendingBytes > 0) return false
    return !this.#cutter.isInZeroRun || previous.isZero
  }

  /** Cuts through one run of the parent. */
  async *cut(run: ParentRun): AsyncGenerator<WindowPiece, void, undefined> {
    const end = run.offset + run.length
    while (this.#at < end) {
      this.#options.signal?.throwIfAborted()
      const isZero = this.#isKnownZero(run)
      const stretch = this.#stretchEnd(run, isZero) - this.#at
      yield* this.#pieces(isZero ? this.#pushZeros(stretch) : await this.#read(stretch))
    }
  }

  *finish(): Generator<WindowPiece, void, undefined> {
    yield* this.#pieces(this.#cutter.finish())
  }

  #isKnownZero(run: ParentRun): boolean {
    const state = this.#plan.blocks[Math.floor(this.#at / BLOCK_BYTES)]
    return state === NOW_ZERO || (state === CLEAN && run.isZero)
  }

  /** Where the run ends, or the blocks that are read, or not, as the one here. */
  #stretchEnd(run: ParentRun, isZero: boolean): number {
    const { blocks } = this.#plan
    const end = run.offset + run.length
    let block = Math.floor(this.#at / BLOCK_BYTES) + 1
    for (; block * BLOCK_BYTES < end; block++) {
      const state = blocks[block]
      if ((state === NOW_ZERO || (state === CLEAN && run.isZero)) !== isZero) break
    }
    return Math.min(block * BLOCK_BYTES, end)
  }

  async #read(wanted: number): Promise<Cuts> {
    const { buffer, signal } = this.#options
    const { place, length } = this.#makeRoom(wanted)
    await this.#options.read(this.#at, buffer.bytes.subarray(place, place + length), { signal })
    this.#at += length
    return this.#cutter.push(buffer.pointer + place, length)
  }

  /** Zeros need to be in the buffer only as long as they may turn out to be part of a chunk. */
  #pushZeros(wanted: number): Cuts {
    const free = wanted - (wanted % this.#stepBytes)
    if (this.#cutter.isInZeroRun && free > 0) {
      this.#at += free
      this.#base = this.#at
      return this.#cutter.pushZeros(free)
    }
    const { place, length } = this.#makeRoom(Math.min(wanted, ZERO_STEP_BYTES))
    this.#options.buffer.bytes.fill(0, place, place + length)
    this.#at += length
    return this.#cutter.pushZeros(length)
  }

  /** Where in the buffer the next bytes go, and how many: moves what is held back to the front when the end is reached. */
  #makeRoom(wanted: number): { place: number; length: number } {
    const { bytes } = this.#options.buffer
    const place = this.#at - this.#base
    if (place + wanted <= bytes.length) return { place, length: wanted }
    const held = this.#cutter.pendingBytes
    bytes.copyWithin(0, place - held, place)
    this.#base = this.#at - held
    const room = bytes.length - held
    return { place: held, length: Math.min(wanted, room - (room % BLOCK_BYTES)) }
  }

  *#pieces({ count, lengths, kinds }: Cuts): Generator<WindowPiece, void, undefined> {
    const { pointer, bytes } = this.#options.buffer
    for (let piece = 0; piece < count; piece++) {
      const offset = this.#pieceAt
      const length = lengths[piece] as number
      this.#pieceAt += length
      if (kinds[piece] === DATA) {
        const place = offset - this.#base
        const slice = { pointer: pointer + place, bytes: bytes.subarray(place, place + length) }
        yield { from: 'disk', kind: 'data', offset, length, slice }
      } else yield { from: 'disk', kind: 'zero', offset, length }
    }
  }
}

/** Gives pieces as the parent has them. */
class ParentPieces {
  readonly #parent: readonly ParentPiece[]
  readonly #cleanRuns = new Map<number, ParentRun>()

  constructor(runs: readonly ParentRun[], parent: readonly ParentPiece[]) {
    this.#parent = parent
    for (const run of runs) if (run.isClean) this.#cleanRuns.set(run.offset, run)
  }

  *of({ firstPiece, pieceCount, offset }: ParentRun): Generator<WindowPiece, void, undefined> {
    let at = offset
    for (let piece = firstPiece; piece < firstPiece + pieceCount; piece++) {
      const { length, kind } = this.#parent[piece] as ParentPiece
      yield { from: 'parent', piece, offset: at, length, kind }
      at += length
    }
  }

  /** A piece that was cut: the parent's, where it has the same one and nothing in it changed. */
  *orNew(piece: WindowPiece): Generator<WindowPiece, void, undefined> {
    const run = this.#cleanRuns.get(piece.offset)
    if (run?.length === piece.length && run.isZero === (piece.kind === 'zero')) yield* this.of(run)
    else yield piece
  }
}
