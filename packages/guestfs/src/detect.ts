/**
 * What is on a disk, partition or logical volume: the rows of the detection table say what they recognise.
 *
 * @see https://github.com/util-linux/util-linux, libblkid, whose names of contents are used here
 * @module
 */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import type { CachedDisk } from './disk/cached-disk.ts'
import type { FileTree } from './tree.ts'
import type { UnlockOptions } from './unlock.ts'
import type { OpenTreeOptions, VolumeKind, VolumeSource, WhyNot } from './volume.ts'
import type { WarningLog } from './warnings.ts'

/** What a row may look at. */
export interface Probe extends AbortOptions {
  readonly disk: CachedDisk
  /** Names the volume in warnings. */
  readonly where: string
  readonly kind: VolumeKind
  readonly warnings: WarningLog
  /** A range of the disk, or undefined when it isn't inside or can't be read. Negative offsets count from the end. */
  readonly peek: (offset: number, length: number) => Promise<Bytes | undefined>
}

/** One entry of a partition table; bytes. */
export interface Partition {
  readonly number: number
  readonly offset: number
  readonly sizeBytes: number
  readonly type: string
  readonly name?: string
  readonly uuid?: string
}

interface Labelled {
  readonly content: string
  readonly label?: string
  readonly uuid?: string
}

/** What a row found. */
export type Found =
  | (Labelled & {
      readonly kind: 'tree'
      /** Volumes with the same key are parts of one file system, which the first of them shows. */
      readonly peerKey?: string
      /**
       * @param disk the volume anew: `open` puts a cache of its own before it
       * @param peers the other parts
       */
      open(disk: DiskReader, options: OpenTreeOptions, peers: readonly DiskReader[]): Promise<FileTree>
    })
  | (Labelled & { readonly kind: 'named'; readonly whyNot: WhyNot })
  | (Labelled & {
      readonly kind: 'locked'
      /** Without a key. */
      readonly whyNot: WhyNot
      /** @throws GranaryError `GRANARY_WRONG_KEY`, `GRANARY_UNSUPPORTED`, `GRANARY_CORRUPT` */
      unlock(disk: DiskReader, keys: readonly Bytes[], options: UnlockOptions): Promise<DiskReader>
    })
  | { readonly kind: 'table'; readonly content: string; readonly partitions: readonly Partition[] }
  | (Labelled & { readonly kind: 'member'; readonly member: Member })

/** A part of something that may span several disks; its assembler takes it from there. */
interface Member {
  /** Which assembler: a row of `assemblers`. */
  readonly of: string
  /** What the assembler's own detector read; no other looks inside. */
  readonly header: unknown
}

export interface Detector {
  readonly name: string
  detect(probe: Probe): Promise<Found | undefined>
}

/** Something with content that isn't known yet. */
export interface Candidate {
  readonly id: string
  readonly kind: VolumeKind
  readonly disk: DiskReader
  readonly source: VolumeSource
  readonly depth: number
  readonly uuid?: string
  readonly label?: string
  /** Parts are not here: the content is looked at all the same, as far as it goes. */
  readonly whyNot?: WhyNot
}

/** A member that waits for its siblings. */
export interface FoundMember extends Member {
  readonly candidate: Candidate
}

/** Wraps a disk for looking at it. */
export const probeOf = (
  disk: CachedDisk,
  kind: VolumeKind,
  where: string,
  warnings: WarningLog,
  signal?: AbortSignal,
): Probe => ({
  disk,
  kind,
  where,
  warnings,
  signal,
  async peek(offset, length) {
    const at = offset < 0 ? disk.sizeBytes + offset : offset
    if (at < 0 || at + length > disk.sizeBytes) return undefined
    try {
      return await disk.bytes(at, length, where, { signal })
    } catch (error) {
      signal?.throwIfAborted()
      warnings.addError(where, error)
      return undefined
    }
  },
})
