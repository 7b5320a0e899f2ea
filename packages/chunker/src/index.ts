/** Cuts disks and streams into chunks: `grid`, `fixed` and `fastcdc`. @module */
export type { Chunker, ChunkerOptions } from './chunker.ts'
export { chunkerArenaBytes, createChunker } from './chunker.ts'
export type { Cuts, WindowCutter } from './cuts.ts'
export { BLOCK_BYTES, DATA, WINDOW_BYTES, ZERO } from './cuts.ts'
export type { ChunkerParameters } from './parameters.ts'
export { formatChunker, isSameChunker, parseChunker, readChunkerParameters } from './parameters.ts'
export type { StrategyName } from './strategies/index.ts'
