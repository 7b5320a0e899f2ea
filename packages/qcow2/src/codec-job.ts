/** What the main thread and its codec workers say to each other. @module */
import type { Compression } from './header.ts'

/** Where one cluster is taken from and where it goes, bytes from the start of the slot's input and of the output. */
export interface CodecItem {
  readonly inputAt: number
  readonly inputBytes: number
  readonly outputAt: number
  /** Decompressing: the cluster size. Compressing: what the result must stay below. */
  readonly outputBytes: number
}

export interface CodecJob {
  readonly slot: number
  readonly compression: Compression
  /** Undefined: decompress. */
  readonly level: number | undefined
  readonly items: readonly CodecItem[]
  /** Shared memory of the caller that results go straight into, instead of the slot's output. */
  readonly output: SharedArrayBuffer | undefined
}

/** Instead of a job: no more come. A thread ends by itself, as a library that is being loaded must not be interrupted. */
export const END = 'end'

/** Lengths of the results, 0 where compressing wins nothing; or, once, that the worker has started. */
export type CodecReply =
  | 'ready'
  | { readonly slot: number; readonly lengths: readonly number[] }
  | { readonly slot: number; readonly error: string }

/** Memory of a slot. Input and output take turns being the larger side. */
export interface CodecSlot {
  readonly input: SharedArrayBuffer
  readonly output: SharedArrayBuffer
}

/** Input and output of a slot, bytes each: the compressed form of the largest cluster may claim two of them. */
export const SLOT_BYTES = 4 * 1024 * 1024
