/** Extents of an image, kept small: 9 bytes a run, and coarser once there are too many. @module */
import { clipExtents } from '@granary/core'
import type { Extent, ExtentKind, Range } from '@granary/core'

/** Runs that are kept. A disk in more pieces is told in larger ones. */
const MAX_RUNS = 1024 * 1024

const KINDS: readonly ExtentKind[] = ['data', 'zero', 'hole']
/** Bits of a run beside its kind. */
const DIRTY = 4
const CLEAN = 8

/** Runs in ascending order that touch. What is added last may be joined with the one before. */
export class ExtentList {
  readonly #maxRuns: number
  #ends: Float64Array
  #states: Uint8Array
  #count = 0
  /** Runs shorter than this are told as parts of larger ones. */
  #grainBytes = 0

  constructor({ maxRuns = MAX_RUNS }: { readonly maxRuns?: number } = {}) {
    this.#maxRuns = maxRuns
    this.#ends = new Float64Array(Math.min(1024, maxRuns))
    this.#states = new Uint8Array(this.#ends.length)
  }

  /** Where the last run ends. */
  get endBytes(): number {
    return this.#count === 0 ? 0 : (this.#ends[this.#count - 1] as number)
  }

  get runs(): number {
    return this.#count
  }

  /** Adds a run from where the last one ends. */
  add(length: number, kind: ExtentKind, dirty: boolean | undefined): void {
    const state = KINDS.indexOf(kind) + (dirty === undefined ? 0 : dirty ? DIRTY : CLEAN)
    this.#append(this.endBytes + length, state)
  }

  /** The runs of a range. */
  async *in(range: Range): AsyncGenerator<Extent, void, undefined> {
    yield* clipExtents(this.#from(range.offset), range)
  }

  *#from(offset: number): Generator<Extent> {
    for (let at = this.#indexAt(offset); at < this.#count; at++) {
      const start = at === 0 ? 0 : (this.#ends[at - 1] as number)
      const state = this.#states[at] as number
      const kind = KINDS[state % DIRTY] as ExtentKind
      const extent = { offset: start, length: (this.#ends[at] as number) - start, kind }
      yield state < DIRTY ? extent : { ...extent, dirty: state < CLEAN }
    }
  }

  #indexAt(offset: number): number {
    let [low, high] = [0, this.#count]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ends[middle] as number) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #append(end: number, state: number): void {
    const last = this.#count - 1
    const start = this.endBytes
    if (last >= 0 && this.#states[last] === state) this.#ends[last] = end
    else if (last >= 0 && this.#isShort(last, end - start)) {
      this.#ends[last] = end
      this.#states[last] = mixed(this.#states[last] as number, state)
    } else {
      if (this.#count === this.#ends.length) this.#makeRoom()
      this.#ends[this.#count] = end
      this.#states[this.#count++] = state
    }
  }

  /** True when the last run, or the one to come, is too short to stand alone. */
  #isShort(last: number, nextLength: number): boolean {
    const start = last === 0 ? 0 : (this.#ends[last - 1] as number)
    return Math.min((this.#ends[last] as number) - start, nextLength) < this.#grainBytes
  }

  #makeRoom(): void {
    if (this.#ends.length < this.#maxRuns) {
      const length = Math.min(this.#ends.length * 2, this.#maxRuns)
      const [ends, states] = [new Float64Array(length), new Uint8Array(length)]
      ends.set(this.#ends)
      states.set(this.#states)
      this.#ends = ends
      this.#states = states
    } else this.#coarsen()
  }

  /** Joins what is short until half of the room is free. */
  #coarsen(): void {
    while (this.#count > this.#maxRuns / 2) {
      this.#grainBytes = Math.max(65_536, this.#grainBytes * 2)
      const [ends, states, count] = [this.#ends, this.#states, this.#count]
      this.#count = 0
      // Written behind where it is read: a run is only ever joined or moved to the front.
      for (let at = 0; at < count; at++) this.#append(ends[at] as number, states[at] as number)
    }
  }
}

/** What two runs are together: `data` promises nothing, and what may be dirty must be read. */
const mixed = (left: number, right: number): number => {
  const isDirty = (left & DIRTY) !== 0 || (right & DIRTY) !== 0
  const isClean = (left & CLEAN) !== 0 && (right & CLEAN) !== 0
  const kind = left % DIRTY === right % DIRTY ? left % DIRTY : 0
  return kind + (isDirty ? DIRTY : isClean ? CLEAN : 0)
}
