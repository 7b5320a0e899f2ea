/**
 * Chunks of one size: for encrypted guests, databases and tiny hosts, where content shifts nowhere.
 *
 * @see docs/formats/chunking.md, section "fixed"
 * @module
 */
import type { Arena } from '@granary/core'
import { BLOCK_SCAN_ARENA_BYTES, SCAN_BLOCKS, checkWhole, isZeroPart, openBlockScratch } from '../blocks.ts'
import type { BlockScratch } from '../blocks.ts'
import { BLOCK_BYTES, CutList, DATA, ZERO } from '../cuts.ts'
import type { Cuts, WindowCutter } from '../cuts.ts'
import type { Strategy } from './strategy.ts'

const KiB = 1024

class FixedCutter implements WindowCutter {
  readonly #arena: Arena
  readonly #scratch: BlockScratch
  readonly #chunkBytes: number
  readonly #cuts = new CutList()
  /** Bytes of the open chunk. */
  #length = 0
  /** True while the open chunk holds nothing but zeros. */
  #isZero = true
  /** Bytes of the zero chunks before the open one. */
  #zeroRun = 0
  #hadPart = false

  constructor(arena: Arena, scratch: BlockScratch, chunkBytes: number) {
    this.#arena = arena
    this.#scratch = scratch
    this.#chunkBytes = chunkBytes
  }

  get pendingBytes(): number {
    return this.#length
  }

  get isInZeroRun(): boolean {
    return this.#zeroRun > 0 && this.#length === 0
  }

  push(pointer: number, length: number): Cuts {
    this.#cuts.count = 0
    if (length > 0) checkWhole(this.#hadPart)
    const { kernel, flags } = this.#scratch
    const end = pointer + length
    let at = pointer
    while (at < end) {
      const step = Math.min(end - at, this.#chunkBytes - this.#length, SCAN_BLOCKS * BLOCK_BYTES)
      const count = Math.floor(step / BLOCK_BYTES)
      const part = step % BLOCK_BYTES
      if (this.#isZero) {
        const isZero = count === 0 || kernel.zeroBlocks(at, count, flags.pointer) === 0
        this.#isZero = isZero && (part === 0 || isZeroPart(this.#arena, this.#scratch, at + step - part, part))
      }
      this.#hadPart = part > 0
      this.#take(step)
      at += step
    }
    return this.#cuts
  }

  pushZeros(length: number): Cuts {
    this.#cuts.count = 0
    if (length > 0) checkWhole(this.#hadPart)
    for (let left = length; left > 0;) {
      const step = Math.min(left, this.#chunkBytes - this.#length)
      this.#take(step)
      left -= step
    }
    this.#hadPart = length % BLOCK_BYTES > 0
    return this.#cuts
  }

  finish(): Cuts {
    this.#cuts.count = 0
    if (this.#length > 0) this.#endChunk()
    this.#endZeroRun()
    this.#hadPart = false
    return this.#cuts
  }

  #take(length: number): void {
    this.#length += length
    if (this.#length === this.#chunkBytes) this.#endChunk()
  }

  #endChunk(): void {
    if (this.#isZero) this.#zeroRun += this.#length
    else {
      this.#endZeroRun()
      this.#cuts.add(this.#length, DATA)
    }
    this.#length = 0
    this.#isZero = true
  }

  #endZeroRun(): void {
    if (this.#zeroRun === 0) return
    this.#cuts.add(this.#zeroRun, ZERO)
    this.#zeroRun = 0
  }
}

export const fixed: Strategy = {
  sizes: { least: 64 * KiB, normal: 128 * KiB, most: 4096 * KiB },
  parametersOf: size => ({ minBytes: size, averageBytes: size, maxBytes: size }),
  arenaBytes: BLOCK_SCAN_ARENA_BYTES,
  open({ averageBytes }, _secret, arena) {
    const scratch = openBlockScratch(arena)
    return { openCutter: () => new FixedCutter(arena, scratch, averageBytes) }
  },
  maxPendingBytes: ({ maxBytes }) => maxBytes,
  recut: ({ maxBytes }) => ({ isRestartable: true, zeroStartBytes: 0, stepBytes: maxBytes }),
}
