/** The detection table: first come, first served. A new file system is one folder and one row. @module */
import type { Detector } from './detect.ts'
import { luks } from './containers/luks/luks.ts'
import { lvm } from './containers/lvm/physical-volume.ts'
import { md } from './containers/md/md.ts'
import { btrfs } from './filesystems/btrfs/detect.ts'
import { exfat } from './filesystems/exfat/detect.ts'
import { ext } from './filesystems/ext/detect.ts'
import { fat } from './filesystems/fat/detect.ts'
import { foreignFirstSector, foreignFurtherIn, zfs } from './filesystems/foreign.ts'
import { ntfs } from './filesystems/ntfs/detect.ts'
import { swap } from './filesystems/swap.ts'
import { xfs } from './filesystems/xfs/detect.ts'
import { gpt } from './tables/gpt.ts'
import { mbr } from './tables/mbr.ts'

export const detectors: readonly Detector[] = [
  // Members and containers first: what lies inside may show through at the same offsets.
  md,
  lvm,
  luks,
  swap,
  // File systems that own the first sector: theirs ends in 55 AA too, and must not be taken for a table.
  ntfs,
  exfat,
  xfs,
  foreignFirstSector,
  fat,
  gpt,
  mbr,
  // Those that leave the first sector alone: a stale one under a table must not hide the table.
  btrfs,
  ext,
  zfs,
  foreignFurtherIn,
]
