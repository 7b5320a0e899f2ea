/** What a window worker is asked, and what it needs from whoever runs it. Plain data: it crosses threads. @module */
import type { Bytes } from '@granary/core'
import type { ChunkerParameters, WindowChange } from '@granary/chunker'
import type { Compression } from '@granary/transform'
import type { PackSeal } from '../packs/pack-builder.ts'
import type { PackNumbers } from './pack-output.ts'

/** Bytes of a run of data that are read and cut at a time; the last batch of a run is shorter. */
export const BATCH_BYTES = 4 * 1024 * 1024

/** What a range of a window is known to be; ranges ascend, touch and cover the window, at multiples of 4 KiB. */
export interface WindowRange {
  readonly length: number
  readonly kind: 'data' | 'zero' | 'hole'
}

/** Everything that stays the same for a session's disk. */
export interface WindowSetup {
  readonly chunker: ChunkerParameters
  readonly chunkerSecret: Bytes
  readonly chunkIdKey: Bytes
  readonly compression: Compression
  readonly seal: PackSeal
  /** Numbers of the packs of the first worker; the others follow, one apart. */
  readonly numbers: PackNumbers
}

export interface WindowJob {
  /** Offset of the window in the disk, bytes. */
  readonly offset: number
  readonly length: number
  readonly ranges: readonly WindowRange[]
  /** The window as it was, and what changed since then: the rest is neither read nor cut again. */
  readonly parent?: { readonly leaf: Bytes | 'zero' | 'hole'; readonly changes: readonly WindowChange[] }
  /** A descriptor of this process to read from, where the disk is one file; else the host reads. */
  readonly fileDescriptor?: number
}

export interface WindowStats {
  readonly readBytes: number
  readonly dataBytes: number
  readonly newBytes: number
  readonly storedBytes: number
  readonly chunks: number
  readonly newChunks: number
}

/** Where the time of a window went, milliseconds. */
export interface WindowTimes {
  readonly totalMs: number
  /** Waiting for, or reading from, the source. */
  readonly sourceMs: number
  /** Waiting for the storage. */
  readonly targetMs: number
}

export interface WindowResult {
  /** The leaf's bytes, or what all of the window is. */
  readonly leaf: Bytes | 'zero' | 'hole'
  readonly stats: WindowStats
  readonly times: WindowTimes
}

/** A part of the open pack, in order. */
export interface PackPiece {
  /** Of the pack in its session. */
  readonly number: number
  readonly bytes: Bytes
  /** Given with the last piece of a pack. */
  readonly end?: { readonly uid: Bytes; /** 32 bytes each, in ordinal order. */ readonly ids: Bytes }
}

/** What a worker can't do alone. */
export interface WindowHost {
  /** Fills the target from the disk. */
  read(offset: number, target: Bytes): Promise<void>
  /** For each id of 32 bytes: 1 when it is not stored and the caller must store it, else 0. */
  claim(ids: Bytes): Promise<Bytes>
  /** Takes a piece of the worker's pack; its bytes may be reused when it resolves. */
  emit(piece: PackPiece): Promise<void>
}
