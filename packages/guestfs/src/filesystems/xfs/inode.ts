/**
 * Inodes of XFS.
 *
 * @see XFS Algorithms & Data Structures, section "On-disk Inode"
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { fileTypeOfMode } from '../../format/unix-mode.ts'
import type { Stat } from '../../tree.ts'
import type { WarningLog } from '../../warnings.ts'
import { isSumRight } from './superblock.ts'
import type { Superblock } from './superblock.ts'

const MAGIC = 0x494e
export const FORMAT = { device: 0, local: 1, extents: 2, btree: 3 } as const
export const FLAG_REALTIME = 0x1
const FLAG2 = { bigTime: 0x8n, bigCounters: 0x10n } as const

/** Seconds between the start of the large times and 1970. */
const BIG_TIME_START = 2n ** 31n

/** Inodes kept parsed: those of the files and directories in use at the moment. */
const MAX_KEPT = 64

export interface Xfs {
  readonly sb: Superblock
  /** The volume with its log replayed. */
  readonly disk: CachedDisk
  readonly warnings: WarningLog
  readonly inodes: Map<number, Inode>
}

/** Where a file's content, or its attributes, begin: in the inode itself, as a list of extents or the root of a tree. */
export interface Fork {
  readonly format: number
  readonly extents: number
  readonly bytes: Bytes
}

export interface Inode {
  readonly ino: number
  readonly stat: Stat
  readonly flags: number
  readonly data: Fork
  readonly attributes: Fork | undefined
}

/** The place of a block on the volume, bytes: block numbers have gaps between groups. */
export const blockOffset = ({ sb }: Xfs, block: number, where: string): number => {
  const span = 2 ** sb.agBlockBits
  const group = Math.floor(block / span)
  const inGroup = block - group * span
  const linear = group * sb.agBlocks + inGroup
  if (inGroup >= sb.agBlocks || group >= sb.agCount || linear >= sb.blocks)
    throw corrupt(where, 'a block of the volume', block)
  return linear * sb.blockBytes
}

const inodeOffset = (xfs: Xfs, ino: number): number => {
  const { sb } = xfs
  const perBlock = 2 ** sb.inodeBlockBits
  const block = Math.floor(ino / perBlock)
  return blockOffset(xfs, block, `inode ${ino}`) + (ino - block * perBlock) * sb.inodeBytes
}

/** The inode, parsed once while it is in use. @throws GranaryError `GRANARY_CORRUPT` */
export const inodeOf = async (xfs: Xfs, ino: number, options: AbortOptions): Promise<Inode> => {
  options.signal?.throwIfAborted()
  const kept = xfs.inodes.get(ino)
  if (kept !== undefined) return kept
  const where = `inode ${ino}`
  const bytes = await xfs.disk.bytes(inodeOffset(xfs, ino), xfs.sb.inodeBytes, where, options)
  const inode = parseInode(xfs, ino, new Fields(bytes, where, 'big'))
  if (xfs.inodes.size >= MAX_KEPT) xfs.inodes.delete(xfs.inodes.keys().next().value as number)
  xfs.inodes.set(ino, inode)
  return inode
}

const parseInode = (xfs: Xfs, ino: number, fields: Fields): Inode => {
  if (fields.u16(0) !== MAGIC) throw corrupt(fields.where, `magic ${MAGIC}`, fields.u16(0))
  const version = fields.u8(4)
  const type = fileTypeOfMode(fields.u16(2))
  if (version < 1 || version > 3 || type === undefined)
    throw corrupt(fields.where, 'an inode in use', `version ${version}, mode ${fields.u16(2)}`)
  if (version === 3) {
    if (fields.big64(152) !== BigInt(ino)) throw corrupt(fields.where, 'its own number', fields.big64(152))
    if (!isSumRight(fields, 100)) xfs.warnings.add(fields.where, 'its checksum is wrong')
  }
  const flags2 = version === 3 ? fields.big64(120) : 0n
  const time = (offset: number): bigint => readTime(fields, offset, (flags2 & FLAG2.bigTime) !== 0n)
  const forks = readForks(fields, version === 3 ? 176 : 100, (flags2 & FLAG2.bigCounters) !== 0n)
  return {
    ino,
    flags: fields.u16(90),
    ...forks,
    stat: {
      type,
      ino,
      mode: fields.u16(2) & 0o7777,
      uid: fields.u32(8),
      gid: fields.u32(12),
      nlink: version === 1 ? fields.u16(6) : fields.u32(16),
      sizeBytes: fields.u64(56),
      allocatedBytes: fields.u64(64) * xfs.sb.blockBytes,
      atime: time(32),
      mtime: time(40),
      ctime: time(48),
      ...(version === 3 ? { btime: time(144) } : {}),
      ...(type === 'chr' || type === 'blk' ? { rdev: readDevice(forks.data) } : {}),
    },
  }
}

const readForks = (fields: Fields, start: number, hasBigCounters: boolean): Pick<Inode, 'data' | 'attributes'> => {
  const split = fields.u8(82) * 8
  const room = fields.length - start
  if (split > room) throw corrupt(fields.where, `a fork inside ${room} bytes`, split)
  return {
    data: {
      format: fields.u8(5),
      extents: hasBigCounters ? fields.u64(24) : fields.u32(76),
      bytes: fields.slice(start, split === 0 ? room : split),
    },
    attributes:
      split === 0
        ? undefined
        : {
            format: fields.u8(83),
            extents: hasBigCounters ? fields.u32(76) : fields.u16(80),
            bytes: fields.slice(start + split, room - split),
          },
  }
}

const readTime = (fields: Fields, offset: number, isBig: boolean): bigint => {
  if (isBig) return fields.big64(offset) - BIG_TIME_START * 1_000_000_000n
  return BigInt(fields.i32(offset)) * 1_000_000_000n + BigInt(fields.i32(offset + 4))
}

const readDevice = ({ bytes }: Fork): { major: number; minor: number } => {
  const device = new Fields(bytes, 'device number', 'big').u32(0)
  return { major: device >>> 18, minor: device & 0x3ffff }
}
