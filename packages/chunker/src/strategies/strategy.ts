/** What a chunking strategy is. @module */
import type { Arena, Bytes } from '@granary/core'
import type { WindowCutter } from '../cuts.ts'

/** Chunk sizes, bytes. */
export interface ChunkSizes {
  readonly minBytes: number
  readonly averageBytes: number
  readonly maxBytes: number
}

/** A strategy with its secrets derived and its scratch memory in an arena. */
interface OpenStrategy {
  /** A new cutter. Those of one chunker share scratch memory, so they must be used by one thread. */
  openCutter(): WindowCutter
}

/** One row of the strategy table. */
export interface Strategy {
  /** Sizes one may ask for, bytes: powers of two. */
  readonly sizes: { readonly least: number; readonly normal: number; readonly most: number }
  parametersOf(size: number): ChunkSizes
  /** Bytes `open` takes from the arena. */
  readonly arenaBytes: number
  open(sizes: ChunkSizes, secret: Bytes, arena: Arena): OpenStrategy
  /** What a cutter may hold back, bytes. */
  maxPendingBytes(sizes: ChunkSizes): number
  recut(sizes: ChunkSizes): RecutRule
}

/** How a changed window is cut again. */
export interface RecutRule {
  /** True when nothing but what follows a cut decides on the pieces behind it. */
  readonly isRestartable: boolean
  /** How far behind the start of a zero piece its content decides that it starts there, bytes. */
  readonly zeroStartBytes: number
  /** In a zero run, zeros of a multiple of this need not be in memory. If restartable, all cuts are at multiples of it. */
  readonly stepBytes: number
}
