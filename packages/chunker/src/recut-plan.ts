/**
 * What of a window must be cut again when some of it changed, without looking at a byte.
 *
 * @see docs/formats/chunking.md, section "Cutting a changed window"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { ExtentKind } from '@granary/core'
import { BLOCK_BYTES, WINDOW_BYTES } from './cuts.ts'
import type { RecutRule } from './strategies/strategy.ts'

/** A piece of the parent's window. Its place in the list is what the caller knows it by. */
export interface ParentPiece {
  readonly length: number
  readonly kind: ExtentKind
}

/** A range of the window that may differ from the parent. `zero` and `hole` say that it reads as zeros now. */
export interface WindowChange {
  readonly offset: number
  readonly length: number
  readonly kind: ExtentKind
}

/** What is known of a block. */
export const CLEAN = 0
const CHANGED = 1
export const NOW_ZERO = 2

/** A chunk of the parent, or all of its zero pieces and holes that follow each other. */
export interface ParentRun {
  readonly offset: number
  length: number
  readonly isZero: boolean
  /** Which pieces of the parent it is. */
  readonly firstPiece: number
  pieceCount: number
  isClean: boolean
  /** Where cutting must begin when this run changed: the place in the list of runs of this one, or of one before it. */
  restart: number
}

export interface RecutPlan {
  readonly runs: readonly ParentRun[]
  /** `CLEAN`, `CHANGED` or `NOW_ZERO` for each block of the window. */
  readonly blocks: Uint8Array
}

/**
 * @param length bytes of the window now; the parent's may have been shorter or longer, when the disk was resized
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when pieces or changes are not those of one window
 */
export const planRecut = (
  length: number,
  parent: readonly ParentPiece[] | undefined,
  changes: readonly WindowChange[],
  rule: RecutRule,
): RecutPlan => {
  check(Number.isSafeInteger(length) && length > 0 && length <= WINDOW_BYTES, 'length of the window', length)
  const blocks = new Uint8Array(Math.ceil(length / BLOCK_BYTES))
  if (parent === undefined) blocks.fill(CHANGED)
  markChanges(blocks, length, changes)
  const runs = parent === undefined ? [] : runsOf(parent)
  if (rule.isRestartable) for (const { offset } of runs) check(offset % rule.stepBytes === 0, 'parent piece at', offset)
  fit(runs, blocks, length)
  if (!rule.isRestartable && blocks.some(state => state !== CLEAN)) {
    markUnknown(runs, blocks)
    return { runs: [wholeWindow(length)], blocks }
  }
  for (const [place, run] of runs.entries()) {
    const firstChange = firstChanged(run, blocks)
    if (firstChange === undefined) continue
    run.isClean = false
    run.restart = restartOf(runs, place, firstChange, rule)
  }
  return { runs, blocks }
}

/**
 * The nearest place before the change that is a cut whatever the change is:
 * - the start of a chunk, as what ended the chunk before it is in that chunk; unless zeros are before it, which may now
 *   go on: their start costs no reading;
 * - the start of a zero run, if so much of it is left that it still begins there; else that of the chunk before it.
 */
const restartOf = (runs: readonly ParentRun[], place: number, firstChange: number, rule: RecutRule): number => {
  const run = runs[place] as ParentRun
  const isStartInDoubt = run.isZero && firstChange < run.offset + rule.zeroStartBytes
  const chunk = isStartInDoubt && place > 0 ? place - 1 : place
  return runs[chunk - 1]?.isZero === true ? chunk - 1 : chunk
}

const firstChanged = (run: ParentRun, blocks: Uint8Array): number | undefined => {
  const end = Math.ceil((run.offset + run.length) / BLOCK_BYTES)
  for (let block = Math.floor(run.offset / BLOCK_BYTES); block < end; block++) {
    if (blocks[block] !== CLEAN) return block * BLOCK_BYTES
  }
  return undefined
}

/** Widens the changes to blocks. A block is known to be zero only when nothing else in it may have changed. */
const markChanges = (blocks: Uint8Array, length: number, changes: readonly WindowChange[]): void => {
  let before = 0
  for (const { offset, length: changed, kind } of changes) {
    const end = offset + changed
    check(Number.isSafeInteger(offset) && Number.isSafeInteger(changed), 'change at', offset)
    check(offset >= before && changed >= 0 && end <= length, 'change at', offset)
    before = end
    if (changed === 0) continue
    const isLast = end === length
    const first = Math.floor(offset / BLOCK_BYTES)
    const next = isLast ? blocks.length : Math.ceil(end / BLOCK_BYTES)
    if (kind === 'data') {
      blocks.fill(CHANGED, first, next)
      continue
    }
    const firstWhole = Math.ceil(offset / BLOCK_BYTES)
    const nextWhole = isLast ? blocks.length : Math.floor(end / BLOCK_BYTES)
    if (firstWhole < nextWhole) blocks.fill(NOW_ZERO, firstWhole, nextWhole)
    if (first < firstWhole) blocks[first] = CHANGED
    if (nextWhole < next) blocks[nextWhole] = CHANGED
  }
}

const runsOf = (parent: readonly ParentPiece[]): ParentRun[] => {
  const runs: ParentRun[] = []
  let offset = 0
  for (const [piece, { length, kind }] of parent.entries()) {
    check(Number.isSafeInteger(length) && length > 0 && offset + length <= WINDOW_BYTES, 'parent piece', piece)
    const isZero = kind !== 'data'
    const last = runs.at(-1)
    if (last !== undefined && isZero && last.isZero) {
      last.length += length
      last.pieceCount++
    } else {
      runs.push({ offset, length, isZero, firstPiece: piece, pieceCount: 1, isClean: true, restart: runs.length })
    }
    offset += length
  }
  return runs
}

/** Makes the runs as long as the window is now. Where the disk was resized, the last run counts as changed at its end. */
const fit = (runs: ParentRun[], blocks: Uint8Array, length: number): void => {
  let last = runs.at(-1)
  while (last !== undefined && last.offset >= length) {
    runs.pop()
    last = runs.at(-1)
  }
  if (last === undefined) {
    runs.push(wholeWindow(length))
    for (let block = 0; block < blocks.length; block++) if (blocks[block] === CLEAN) blocks[block] = CHANGED
    return
  }
  const end = last.offset + last.length
  if (end === length) return
  last.length = length - last.offset
  for (let block = Math.floor((Math.min(end, length) - 1) / BLOCK_BYTES); block < blocks.length; block++) {
    if (blocks[block] === CLEAN) blocks[block] = CHANGED
  }
}

/** Before a window is cut in full: what the parent knows to be zero need not be read, all else is. */
const markUnknown = (runs: readonly ParentRun[], blocks: Uint8Array): void => {
  for (const { offset, length, isZero } of runs) {
    const first = Math.floor(offset / BLOCK_BYTES)
    const next = Math.ceil((offset + length) / BLOCK_BYTES)
    for (let block = first; block < next; block++) {
      if (blocks[block] === CLEAN) blocks[block] = isZero ? NOW_ZERO : CHANGED
    }
  }
}

const wholeWindow = (length: number): ParentRun => ({
  offset: 0,
  length,
  isZero: false,
  firstPiece: 0,
  pieceCount: 0,
  isClean: false,
  restart: 0,
})

const check = (isRight: boolean, what: string, found: number): void => {
  if (isRight) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `window to be cut: ${what} ${found} is out of range or order`, {
    detail: { what, found },
  })
}
