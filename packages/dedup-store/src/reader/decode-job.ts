/** What a decode worker is asked. Plain data; the plain bytes land in shared memory. @module */
import type { Bytes } from '@granary/core'
import type { PackEntry, PackType } from '../packs/pack-format.ts'
import type { PackSealing } from '../packs/pack-prelude.ts'

/** A part of a chunk, and where in the target it goes. */
export interface CopyPlace {
  readonly from: number
  readonly length: number
  readonly to: number
}

/** Blobs that lie side by side in a pack. */
export interface DecodeJob {
  readonly pack: { readonly key: string; readonly type: PackType; readonly prelude: Bytes; readonly seal: PackSealing }
  /** Where in the pack the sealed bytes begin, and how many there are. */
  readonly from: number
  readonly length: number
  /** The pack as a file of this machine, or else its bytes. */
  readonly path?: string
  readonly sealed?: Bytes
  readonly blobs: readonly {
    readonly ordinal: number
    readonly entry: PackEntry
    readonly places: readonly CopyPlace[]
  }[]
}

/** Where the plain bytes go. */
export interface SharedTarget {
  readonly buffer: SharedArrayBuffer
  readonly offset: number
  readonly length: number
}

/** Instead of a job: no more come. */
export const END = 'end'
