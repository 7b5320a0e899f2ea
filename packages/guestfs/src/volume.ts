/** What a set of disks holds: its volumes, readable or not. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import type { FileTree } from './tree.ts'
import type { Warning } from './warnings.ts'

/**
 * `whole`: a disk without a partition table. `lv`: a logical volume. `md`: a Linux software array. `unlocked`: what is
 * inside an encrypted container.
 */
export type VolumeKind = 'whole' | 'partition' | 'lv' | 'md' | 'unlocked'

/** Where a volume lies. */
export interface VolumeSource {
  /** Indexes of the disks it is on, ascending. */
  readonly disks: readonly number[]
  /** Where it begins on its disk, bytes, when it lies there in one piece. */
  readonly offset?: number
  /** Number of the partition, as Linux counts; also of the one that is behind a logical volume or an array. */
  readonly partition?: number
  /** Type of the partition: two hex digits, or a GUID. */
  readonly partitionType?: string
  /** Name in the GPT. */
  readonly partitionName?: string
  /** As udev's PARTUUID: the GUID in the GPT, or in an MBR the disk's signature and the number, `1a2b3c4d-01`. */
  readonly partitionUuid?: string
  /** `VG/LV`. */
  readonly lv?: string
  /** Of an unlocked one: the id of the volume that it is inside. */
  readonly container?: string
  /** As in `raid1`. */
  readonly md?: string
}

/** Why a volume has no tree of files, or why reading it may fail. */
export interface WhyNot {
  /**
   * `empty`: nothing is known there. `swap`, `member` (its content is shown by another volume), `encrypted`,
   * `unsupported`: named, and not read. `corrupt`: it says what it is, and is damaged. `missing`: parts are on disks
   * that aren't here.
   */
  readonly reason: 'empty' | 'swap' | 'member' | 'encrypted' | 'unsupported' | 'corrupt' | 'missing'
  readonly message: string
}

export interface Volume {
  /** Unique in its set, without `:` or white space: `p1`, `d2p1` (third of several disks), `disk`, `vg/lv`, `md-NAME`. */
  readonly id: string
  readonly kind: VolumeKind
  /** As blkid names it: `ext4`, `vfat`, `exfat`, `swap`, `crypto_LUKS`, `LVM2_member`… Undefined when nothing is known there. */
  readonly content?: string
  readonly label?: string
  readonly uuid?: string
  readonly sizeBytes: number
  readonly source: VolumeSource
  /** Present when `open` would refuse. */
  readonly whyNot?: WhyNot
  /** The volume's bytes. It belongs to the set. */
  readonly disk: DiskReader
  /**
   * Opens the file system; the tree is the caller's to close.
   *
   * @throws GranaryError `GRANARY_UNSUPPORTED` with the reason of `whyNot`, `GRANARY_CORRUPT` when it is damaged beyond reading
   */
  open(options?: OpenTreeOptions): Promise<FileTree>
}

export interface OpenTreeOptions extends AbortOptions {
  /** Code page of short names on FAT that have no long one. @default 'cp437' */
  readonly codePage?: CodePage
}

/** Code pages that FAT's short names may be in. */
export type CodePage = 'cp437' | 'cp850' | 'cp852' | 'cp866' | 'cp1251'

export interface VolumeSet extends AsyncDisposable {
  /** In the order of the disks and their tables, then logical volumes and arrays by name. */
  readonly volumes: readonly Volume[]
  readonly warnings: readonly Warning[]
}
