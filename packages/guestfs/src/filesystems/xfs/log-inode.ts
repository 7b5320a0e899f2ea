/** An inode as the log keeps it: in the byte order of the guest's processor. @see struct xfs_log_dinode @module */
import type { Bytes } from '@granary/core'
import { crc32cRaw } from '../../format/crc32c.ts'

const TIMES = [32, 40, 48, 144] as const
const FLAG2 = { bigTime: 0x8n, bigCounters: 0x10n } as const

/** Offset and length of each number; times and counters depend on flags. */
const FIELDS: readonly (readonly [offset: number, length: number])[] = [
  [0, 2],
  [2, 2],
  [6, 2],
  [8, 4],
  [12, 4],
  [16, 4],
  [20, 2],
  [22, 2],
  [56, 8],
  [64, 8],
  [72, 4],
  [84, 4],
  [88, 2],
  [90, 2],
  [92, 4],
  [96, 4],
  [104, 8],
  [112, 8],
  [120, 8],
  [128, 4],
  [152, 8],
]

/** The core of an inode in the order of the disk; of 96 bytes, or of 176 for version 3. */
export const diskCore = (logged: Bytes): Bytes => {
  const isVersion3 = (logged[4] as number) >= 3
  const core = logged.slice(0, isVersion3 ? 176 : 96)
  const view = new DataView(logged.buffer, logged.byteOffset, logged.byteLength)
  const flags2 = isVersion3 ? view.getBigUint64(120, true) : 0n
  const swap = (offset: number, length: number): void => {
    if (offset + length <= core.length) core.subarray(offset, offset + length).reverse()
  }
  for (const [offset, length] of FIELDS) swap(offset, length)
  for (const offset of TIMES) {
    if ((flags2 & FLAG2.bigTime) !== 0n) swap(offset, 8)
    else {
      swap(offset, 4)
      swap(offset + 4, 4)
    }
  }
  if ((flags2 & FLAG2.bigCounters) !== 0n) swap(24, 8)
  swap(76, 4)
  if ((flags2 & FLAG2.bigCounters) === 0n) swap(80, 2)
  return core
}

/** Writes the checksum of an inode of version 3 anew. */
export const sealInode = (inode: Bytes): void => {
  if ((inode[4] as number) < 3) return
  inode.fill(0, 100, 104)
  new DataView(inode.buffer, inode.byteOffset).setUint32(100, ~crc32cRaw(0xffffffff, inode) >>> 0, true)
}
