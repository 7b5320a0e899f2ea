/**
 * FastCDC with a keyed gear table, two bytes a step: for byte streams and archives, where content shifts by bytes.
 * Not hardened: who can choose content and see lengths may learn the table. `grid` is what resists that.
 *
 * @see Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems", IEEE TPDS
 *   31(9), 2020; docs/formats/chunking.md, section "fastcdc"
 * @module
 */
import { compileKernel } from '@granary/core'
import type { Arena, Bytes } from '@granary/core'
import { BLOCK_SCAN_ARENA_BYTES, SCAN_BLOCKS, checkWhole, isZeroPart, openBlockScratch } from '../blocks.ts'
import type { BlockScratch } from '../blocks.ts'
import { BLOCK_BYTES, CutList, DATA, ZERO, ZERO_RUN_BLOCKS } from '../cuts.ts'
import type { Cuts, WindowCutter } from '../cuts.ts'
import { wasmBase64 } from '../gear.wasm.ts'
import { deriveSecret } from '../secrets.ts'
import type { ChunkSizes, Strategy } from './strategy.ts'

const KiB = 1024
const TABLE_ENTRIES = 256
const TABLE_BYTES = TABLE_ENTRIES * 8
const STATE_BYTES = 64
/** Zeros held back until it is known whether they are a run: what is scanned in their place when they are not. */
const HELD_ZEROS_BYTES = (ZERO_RUN_BLOCKS - 1) * BLOCK_BYTES

/** Below the average a chunk ends after one byte in 2^(bits + 2), above it after one in 2^(bits - 2). */
const NORMALISATION_BITS = 2

/** What the kernel of assembly/gear.ts offers. Pointers are addresses in the arena. */
export interface GearKernel {
  scanGear(source: number, length: number, table: number, bits: number, state: number): number
}

export const openGearKernel: (arena: Arena) => GearKernel = compileKernel<GearKernel>(wasmBase64)

/** Finds where chunks end in a stretch of data that comes in parts. */
class GearScanner {
  readonly #kernel: GearKernel
  readonly #tablePointer: number
  readonly #statePointer: number
  readonly #state: Uint32Array

  constructor(secret: Bytes, arena: Arena) {
    this.#kernel = openGearKernel(arena)
    const table = arena.allocate(2 * TABLE_BYTES)
    table.bytes.set(deriveSecret(secret, 'fastcdc gear', TABLE_BYTES))
    const words = new BigUint64Array(table.bytes.buffer, table.pointer, 2 * TABLE_ENTRIES)
    for (let entry = 0; entry < TABLE_ENTRIES; entry++) words[TABLE_ENTRIES + entry] = (words[entry] as bigint) << 1n
    this.#tablePointer = table.pointer
    const state = arena.allocate(STATE_BYTES)
    this.#statePointer = state.pointer
    this.#state = new Uint32Array(state.bytes.buffer, state.pointer, 2)
  }

  /** Puts a cutter's hash in place; cutters take turns. */
  load(low: number, high: number): void {
    this.#state[0] = low
    this.#state[1] = high
  }

  get low(): number {
    return this.#state[0] as number
  }

  get high(): number {
    return this.#state[1] as number
  }

  /** Bytes up to and with the one that ends the chunk, or 0 when none does. */
  scan(pointer: number, length: number, bits: number): number {
    return this.#kernel.scanGear(pointer, length, this.#tablePointer, bits, this.#statePointer)
  }
}

interface FastcdcParts {
  readonly arena: Arena
  readonly scratch: BlockScratch
  readonly scanner: GearScanner
  readonly zerosPointer: number
}

class FastcdcCutter implements WindowCutter {
  readonly #parts: FastcdcParts
  readonly #sizes: ChunkSizes
  readonly #anyBits: number
  readonly #longBits: number
  readonly #cuts = new CutList()
  /** Bytes of the open chunk that have been scanned. */
  #length = 0
  /** The gear hash, its low and its high half, kept here between calls. */
  #hash: readonly [number, number] = [0, 0]
  /** Zero bytes behind the scanned ones, fewer than a zero run: scanned when data follows, else they become a run. */
  #held = 0
  /** Bytes of the open zero piece. */
  #zeroRun = 0
  #hadPart = false

  constructor(parts: FastcdcParts, sizes: ChunkSizes) {
    this.#parts = parts
    this.#sizes = sizes
    const averageBits = Math.log2(sizes.averageBytes)
    this.#anyBits = averageBits + NORMALISATION_BITS
    this.#longBits = averageBits - NORMALISATION_BITS
  }

  get pendingBytes(): number {
    return this.#length + this.#held
  }

  get isInZeroRun(): boolean {
    return this.#zeroRun > 0
  }

  push(pointer: number, length: number): Cuts {
    this.#begin(length)
    const { arena, scratch } = this.#parts
    const end = pointer + length
    let at = pointer
    while (end - at >= BLOCK_BYTES) {
      const count = Math.min(Math.floor((end - at) / BLOCK_BYTES), SCAN_BLOCKS)
      scratch.kernel.zeroBlocks(at, count, scratch.flags.pointer)
      this.#takeBlocks(at, count, scratch.flags.bytes)
      at += count * BLOCK_BYTES
    }
    if (at < end) {
      this.#hadPart = true
      if (this.#zeroRun > 0 && isZeroPart(arena, scratch, at, end - at)) this.#zeroRun += end - at
      else this.#takeData(at, end - at)
    }
    return this.#end()
  }

  pushZeros(length: number): Cuts {
    this.#begin(length)
    const part = length % BLOCK_BYTES
    this.#takeZeros(length - part)
    if (part > 0) {
      this.#hadPart = true
      if (this.#zeroRun > 0) this.#zeroRun += part
      else this.#takeData(this.#parts.zerosPointer, part)
    }
    return this.#end()
  }

  finish(): Cuts {
    this.#begin(0)
    this.#endZeroRun()
    this.#scanHeld()
    if (this.#length > 0) this.#endChunk()
    this.#hadPart = false
    return this.#end()
  }

  #begin(length: number): void {
    this.#cuts.count = 0
    if (length > 0) checkWhole(this.#hadPart)
    this.#parts.scanner.load(...this.#hash)
  }

  #end(): Cuts {
    const { scanner } = this.#parts
    this.#hash = [scanner.low, scanner.high]
    return this.#cuts
  }

  /** Splits blocks into stretches of zeros and of data. */
  #takeBlocks(pointer: number, count: number, flags: Uint8Array): void {
    for (let block = 0; block < count;) {
      const first = block
      const flag = flags[first]
      while (block < count && flags[block] === flag) block++
      const length = (block - first) * BLOCK_BYTES
      if (flag === 1) this.#takeZeros(length)
      else this.#takeData(pointer + first * BLOCK_BYTES, length)
    }
  }

  #takeZeros(length: number): void {
    if (this.#zeroRun > 0) {
      this.#zeroRun += length
      return
    }
    this.#held += length
    if (this.#held <= HELD_ZEROS_BYTES) return
    if (this.#length > 0) this.#endChunk()
    this.#zeroRun = this.#held
    this.#held = 0
  }

  #takeData(pointer: number, length: number): void {
    this.#endZeroRun()
    this.#scanHeld()
    this.#scan(pointer, length)
  }

  #scanHeld(): void {
    this.#scan(this.#parts.zerosPointer, this.#held)
    this.#held = 0
  }

  #scan(pointer: number, length: number): void {
    const { minBytes, averageBytes, maxBytes } = this.#sizes
    const { scanner } = this.#parts
    const end = pointer + length
    for (let at = pointer; at < end;) {
      if (this.#length < minBytes) {
        const skipped = Math.min(minBytes - this.#length, end - at)
        this.#length += skipped
        at += skipped
        continue
      }
      const isShort = this.#length < averageBytes
      const most = Math.min((isShort ? averageBytes : maxBytes) - this.#length, end - at)
      const found = scanner.scan(at, most, isShort ? this.#anyBits : this.#longBits)
      const taken = found === 0 ? most : found
      this.#length += taken
      at += taken
      if (found > 0 || this.#length === maxBytes) this.#endChunk()
    }
  }

  #endZeroRun(): void {
    if (this.#zeroRun === 0) return
    this.#cuts.add(this.#zeroRun, ZERO)
    this.#zeroRun = 0
  }

  #endChunk(): void {
    this.#cuts.add(this.#length, DATA)
    this.#length = 0
    this.#parts.scanner.load(0, 0)
  }
}

export const fastcdc: Strategy = {
  sizes: { least: 16 * KiB, normal: 64 * KiB, most: 1024 * KiB },
  parametersOf: averageBytes => ({ minBytes: averageBytes / 4, averageBytes, maxBytes: averageBytes * 4 }),
  arenaBytes: BLOCK_SCAN_ARENA_BYTES + 2 * TABLE_BYTES + STATE_BYTES + HELD_ZEROS_BYTES,
  open(sizes, secret, arena) {
    const parts: FastcdcParts = {
      arena,
      scratch: openBlockScratch(arena),
      scanner: new GearScanner(secret, arena),
      zerosPointer: arena.allocate(HELD_ZEROS_BYTES).pointer,
    }
    return { openCutter: () => new FastcdcCutter(parts, sizes) }
  },
  maxPendingBytes: ({ maxBytes }) => maxBytes + HELD_ZEROS_BYTES,
  recut: () => ({ isRestartable: false, zeroStartBytes: 0, stepBytes: BLOCK_BYTES }),
}
