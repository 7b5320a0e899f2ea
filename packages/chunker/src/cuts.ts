/** Where windows are cut: the numbers every strategy works with, and the list its cuts are put down in. @module */

/** A disk is cut into windows of this size, each on its own: a leaf of the disk map is one window. */
export const WINDOW_BYTES = 32 * 1024 * 1024

/** The grid: zero runs are seen, and `grid` cuts, at multiples of this. */
export const BLOCK_BYTES = 4096

/** A run of zero blocks of this length ends a chunk and becomes a zero piece; a shorter one is data. */
export const ZERO_RUN_BLOCKS = 8

/** `kinds` of `Cuts`: a chunk. */
export const DATA = 0
/** `kinds` of `Cuts`: a range that is zero. */
export const ZERO = 1

/** Pieces in order, each beginning where the one before ends. Valid until the cutter is called again. */
export interface Cuts {
  readonly count: number
  /** Bytes of each piece; only the first `count` hold. */
  readonly lengths: Float64Array
  /** `DATA` or `ZERO` for each piece; only the first `count` hold. */
  readonly kinds: Uint8Array
}

/** Pieces to begin with: enough for a batch of 4 MiB at common sizes. The list doubles when it is full. */
const FIRST_CAPACITY = 128

/** A reusable `Cuts`. A list is at most one entry a block long, which bounds it by what is pushed at once. */
export class CutList implements Cuts {
  count = 0
  lengths: Float64Array = new Float64Array(FIRST_CAPACITY)
  kinds: Uint8Array = new Uint8Array(FIRST_CAPACITY)

  add(length: number, kind: number): void {
    if (this.count === this.kinds.length) this.#grow()
    this.lengths[this.count] = length
    this.kinds[this.count] = kind
    this.count++
  }

  #grow(): void {
    const { lengths, kinds } = this
    this.lengths = new Float64Array(2 * lengths.length)
    this.lengths.set(lengths)
    this.kinds = new Uint8Array(2 * kinds.length)
    this.kinds.set(kinds)
  }
}

/**
 * Cuts one window, or what follows a cut in one, as its bytes come.
 * Every method gives back the pieces that became certain by the call; they follow on from those given before.
 */
export interface WindowCutter {
  /**
   * Takes the next bytes, where they are in the arena. `length` is a multiple of `BLOCK_BYTES` but for the last call:
   * only the end of a disk or stream is shorter.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when more follows a part of a block
   */
  push(pointer: number, length: number): Cuts
  /** Takes zeros that are nowhere in memory: a hole. */
  pushZeros(length: number): Cuts
  /** The window ends here. The cutter is then ready for another one. */
  finish(): Cuts
  /**
   * How many of the last bytes taken belong to a chunk whose end is not known. The caller keeps them, as they are part of
   * a piece to come. At most `maxPendingBytes` of the chunker after each call; 0 in a zero run.
   */
  readonly pendingBytes: number
  /** True when what was taken ends with a zero piece whose end is not known. */
  readonly isInZeroRun: boolean
}
