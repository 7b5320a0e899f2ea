/** Looks at 4 KiB blocks in an arena, many at a time. @module */
import { GranaryError, compileKernel } from '@granary/core'
import type { Arena, ArenaSlice } from '@granary/core'
import { wasmBase64 } from './blocks.wasm.ts'
import { BLOCK_BYTES } from './cuts.ts'

/** How many blocks are looked at in one call of a kernel: 4 MiB. */
export const SCAN_BLOCKS = 1024

/** What the kernel of assembly/blocks.ts offers. Pointers are addresses in the arena. */
export interface BlockKernel {
  zeroBlocks(source: number, count: number, flags: number): number
  digestBlocks(source: number, count: number, key: number, flags: number, digests: number): number
}

export const openBlockKernel: (arena: Arena) => BlockKernel = compileKernel<BlockKernel>(wasmBase64)

/** Bytes in the arena: flags of a scan, and one block for the last part of a disk. */
export const BLOCK_SCAN_ARENA_BYTES = SCAN_BLOCKS + BLOCK_BYTES

/** Where a chunker's scans put their flags: 1 for a zero block, else 0. */
export interface BlockScratch {
  readonly kernel: BlockKernel
  readonly flags: ArenaSlice
  readonly partial: ArenaSlice
}

export const openBlockScratch = (arena: Arena): BlockScratch => ({
  kernel: openBlockKernel(arena),
  flags: arena.allocate(SCAN_BLOCKS),
  partial: arena.allocate(BLOCK_BYTES),
})

/** True when the `length` bytes, less than a block, are zero. */
export const isZeroPart = (
  arena: Arena,
  { kernel, flags, partial }: BlockScratch,
  pointer: number,
  length: number,
): boolean => {
  partial.bytes.fill(0)
  partial.bytes.set(new Uint8Array(arena.memory.buffer, pointer, length))
  return kernel.zeroBlocks(partial.pointer, 1, flags.pointer) === 0
}

/** Refuses bytes after a part of a block: only the end of a disk or stream is shorter than a block. */
export const checkWhole = (hadPart: boolean): void => {
  if (!hadPart) return
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    'more bytes follow a part of a block: push whole blocks of 4096 bytes',
    {
      detail: { argument: 'length', expected: BLOCK_BYTES },
    },
  )
}
