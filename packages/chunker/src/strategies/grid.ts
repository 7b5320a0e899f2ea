/**
 * Content-defined chunking on a 4 KiB grid: whether a chunk may end after a block is decided by a secret-keyed hash of
 * that block alone. Blocks can therefore be hashed in any order, and an unaligned copy finds no match, which disks of
 * virtual machines do not make.
 *
 * @see docs/formats/chunking.md, section "grid"; the digest is NH of RFC 4418, section 5.2.2
 * @module
 */
import { createCipheriv } from 'node:crypto'
import type { Arena, ArenaSlice, Bytes } from '@granary/core'
import { BLOCK_SCAN_ARENA_BYTES, SCAN_BLOCKS, checkWhole, isZeroPart, openBlockScratch } from '../blocks.ts'
import type { BlockScratch } from '../blocks.ts'
import { BLOCK_BYTES, CutList, DATA, ZERO, ZERO_RUN_BLOCKS } from '../cuts.ts'
import type { Cuts, WindowCutter } from '../cuts.ts'
import { deriveSecret } from '../secrets.ts'
import type { ChunkSizes, Strategy } from './strategy.ts'

const KiB = 1024
const DIGEST_BYTES = 16
const AES_KEY_BYTES = 32
/** The words of a block, and 4 more: the second pass uses the key 4 words further on. */
const NH_KEY_BYTES = BLOCK_BYTES + 16

/** Below the average one block in 2^(bits + 2) ends a chunk, above it one in 2^(bits - 2): sizes stay near the average. */
const NORMALISATION_BITS = 2

// What is known of a block. A block that may end a chunk below the average may end one above it.
const IS_ZERO = 1
const ENDS_LONG = 2
const ENDS_ANY = 4

/** Flags of many blocks, from their content. */
interface BlockJudge {
  /** Flags of at most `SCAN_BLOCKS` blocks. Valid until the next call. */
  judge(pointer: number, count: number): Uint8Array
  isZeroPart(pointer: number, length: number): boolean
}

const openJudge = ({ averageBytes }: ChunkSizes, secret: Bytes, arena: Arena): BlockJudge => {
  const scratch: BlockScratch = openBlockScratch(arena)
  const key: ArenaSlice = arena.allocate(NH_KEY_BYTES)
  key.bytes.set(deriveSecret(secret, 'grid nh', NH_KEY_BYTES))
  const digests = arena.allocate(SCAN_BLOCKS * DIGEST_BYTES)
  const cipher = createCipheriv('aes-256-ecb', deriveSecret(secret, 'grid aes', AES_KEY_BYTES), null)
  cipher.setAutoPadding(false)
  const averageBits = Math.log2(averageBytes / BLOCK_BYTES)
  const anyMask = 2 ** (averageBits + NORMALISATION_BITS) - 1
  const longMask = 2 ** (averageBits - NORMALISATION_BITS) - 1
  const flags = scratch.flags.bytes

  return {
    judge(pointer, count) {
      const { kernel } = scratch
      const digestCount = kernel.digestBlocks(pointer, count, key.pointer, scratch.flags.pointer, digests.pointer)
      if (digestCount === 0) return flags
      const words = cipher.update(digests.bytes.subarray(0, digestCount * DIGEST_BYTES))
      let at = 0
      for (let block = 0; block < count; block++) {
        if (flags[block] === IS_ZERO) continue
        const word = (words[at] as number) | ((words[at + 1] as number) << 8) // 10 bits are the most a mask has
        flags[block] = (word & longMask) === 0 ? ENDS_LONG | ((word & anyMask) === 0 ? ENDS_ANY : 0) : 0
        at += DIGEST_BYTES
      }
      return flags
    },
    isZeroPart: (pointer, length) => isZeroPart(arena, scratch, pointer, length),
  }
}

/** Cuts serially on the flags of blocks. What follows a cut depends on nothing before it. */
class GridCutter implements WindowCutter {
  readonly #judge: BlockJudge
  readonly #sizes: ChunkSizes
  readonly #cuts = new CutList()
  /** Bytes of the open chunk, with the zero blocks at its end. */
  #length = 0
  /** Whole zero blocks at the end of the open chunk, fewer than `ZERO_RUN_BLOCKS`. */
  #zeros = 0
  /** Bytes of the open zero piece; while there is one, there is no open chunk. */
  #zeroRun = 0
  #hadPart = false

  constructor(judge: BlockJudge, sizes: ChunkSizes) {
    this.#judge = judge
    this.#sizes = sizes
  }

  get pendingBytes(): number {
    return this.#length
  }

  get isInZeroRun(): boolean {
    return this.#zeroRun > 0
  }

  push(pointer: number, length: number): Cuts {
    this.#cuts.count = 0
    if (length > 0) checkWhole(this.#hadPart)
    const end = pointer + length
    let at = pointer
    while (end - at >= BLOCK_BYTES) {
      const count = Math.min(Math.floor((end - at) / BLOCK_BYTES), SCAN_BLOCKS)
      const flags = this.#judge.judge(at, count)
      for (let block = 0; block < count; block++) this.#take(flags[block] as number)
      at += count * BLOCK_BYTES
    }
    if (at < end) this.#takePart(this.#judge.isZeroPart(at, end - at), end - at)
    return this.#cuts
  }

  pushZeros(length: number): Cuts {
    this.#cuts.count = 0
    if (length > 0) checkWhole(this.#hadPart)
    let left = length
    while (left >= BLOCK_BYTES && this.#zeroRun === 0) {
      this.#take(IS_ZERO)
      left -= BLOCK_BYTES
    }
    const part = left % BLOCK_BYTES
    if (this.#zeroRun > 0) this.#zeroRun += left - part
    if (part > 0) this.#takePart(true, part)
    return this.#cuts
  }

  finish(): Cuts {
    this.#cuts.count = 0
    this.#endZeroRun()
    if (this.#length > 0) this.#endChunk(this.#length)
    this.#hadPart = false
    return this.#cuts
  }

  #take(flags: number): void {
    if (flags === IS_ZERO) {
      if (this.#zeroRun > 0) {
        this.#zeroRun += BLOCK_BYTES
        return
      }
      this.#length += BLOCK_BYTES
      this.#zeros++
      if (this.#zeros === ZERO_RUN_BLOCKS) this.#beginZeroRun()
      else if (this.#length >= this.#sizes.maxBytes) this.#endChunk(this.#length)
      return
    }
    this.#endZeroRun()
    this.#length += BLOCK_BYTES
    this.#zeros = 0
    const { minBytes, averageBytes, maxBytes } = this.#sizes
    const wanted = this.#length < averageBytes ? ENDS_ANY : ENDS_LONG
    if ((this.#length >= minBytes && (flags & wanted) !== 0) || this.#length >= maxBytes) this.#endChunk(this.#length)
  }

  /** The last part of a disk is never hashed; zeros join a zero run, but do not make one. */
  #takePart(isZero: boolean, length: number): void {
    this.#hadPart = true
    if (isZero && this.#zeroRun > 0) {
      this.#zeroRun += length
      return
    }
    this.#endZeroRun()
    this.#length += length
  }

  #beginZeroRun(): void {
    this.#zeroRun = ZERO_RUN_BLOCKS * BLOCK_BYTES
    const length = this.#length - this.#zeroRun
    if (length > 0) this.#endChunk(length)
    this.#length = 0
    this.#zeros = 0
  }

  #endZeroRun(): void {
    if (this.#zeroRun === 0) return
    this.#cuts.add(this.#zeroRun, ZERO)
    this.#zeroRun = 0
  }

  #endChunk(length: number): void {
    this.#cuts.add(length, DATA)
    this.#length = 0
    this.#zeros = 0
  }
}

/** The default for disks. */
export const grid: Strategy = {
  sizes: { least: 32 * KiB, normal: 128 * KiB, most: 1024 * KiB },
  parametersOf: averageBytes => ({ minBytes: averageBytes / 4, averageBytes, maxBytes: averageBytes * 4 }),
  arenaBytes: BLOCK_SCAN_ARENA_BYTES + NH_KEY_BYTES + 64 + SCAN_BLOCKS * DIGEST_BYTES,
  open(sizes, secret, arena) {
    const judge = openJudge(sizes, secret, arena)
    return { openCutter: () => new GridCutter(judge, sizes) }
  },
  maxPendingBytes: ({ maxBytes }) => maxBytes,
  recut: () => ({ isRestartable: true, zeroStartBytes: ZERO_RUN_BLOCKS * BLOCK_BYTES, stepBytes: BLOCK_BYTES }),
}
