/**
 * Inodes of ext2, ext3 and ext4.
 *
 * @see Linux Documentation/filesystems/ext4/inodes.rst
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { fileTypeOfMode } from '../../format/unix-mode.ts'
import type { Stat } from '../../tree.ts'
import { readGroup } from './groups.ts'
import { INCOMPAT, RO_COMPAT } from './superblock.ts'
import type { Superblock } from './superblock.ts'
import type { Ext } from './ext.ts'

export const FLAG = {
  encrypted: 0x800,
  hashTree: 0x1000,
  hugeFile: 0x40000,
  extents: 0x80000,
  eaInode: 0x200000,
  inlineData: 0x10000000,
} as const

export interface Inode {
  readonly ino: number
  readonly stat: Stat
  readonly flags: number
  /** `i_block`: pointers, the root of an extent tree, a short link target or inline data. */
  readonly block: Bytes
  /** The attribute block, or 0. */
  readonly attributeBlock: number
  /** The part of the inode behind its fields, where attributes may be. */
  readonly tail: Bytes
  readonly generation: number
  /** Checksum seed of this inode's own blocks. */
  readonly checksumSeed: number | undefined
}

/** @throws GranaryError `GRANARY_CORRUPT` when there is no such inode, or it isn't in use */
export const readInode = async (ext: Ext, ino: number, options: AbortOptions): Promise<Inode> => {
  const { sb, disk, warnings } = ext
  const where = `inode ${ino}`
  if (!(ino >= 1 && ino <= sb.groups * sb.inodesPerGroup)) throw corrupt(where, `an inode of 1 to ${sb.inodes}`, ino)
  const group = Math.floor((ino - 1) / sb.inodesPerGroup)
  const { inodeTable } = await readGroup(ext, group, options)
  const offset = inodeTable * sb.blockBytes + ((ino - 1) % sb.inodesPerGroup) * sb.inodeBytes
  const fields = new Fields(await disk.bytes(offset, sb.inodeBytes, where, options), where)
  const inode = parseInode(ext, ino, fields)
  if (inode.checksumSeed !== undefined && !isChecksumRight(fields, inode.checksumSeed))
    warnings.add(where, 'its checksum is wrong')
  return inode
}

const parseInode = ({ sb }: Ext, ino: number, fields: Fields): Inode => {
  const type = fileTypeOfMode(fields.u16(0))
  if (type === undefined) throw corrupt(`inode ${ino}`, 'a type of file', fields.u16(0))
  const extraBytes = extraSize(fields)
  const flags = fields.u32(0x20)
  const hasBigSize = type === 'file' || type === 'symlink' || (sb.incompat & INCOMPAT.largeDirectory) !== 0
  const generation = fields.u32(0x64)
  const time = (low: number, extra: number): bigint => readTime(fields, low, extra, 128 + extraBytes)
  return {
    ino,
    flags,
    generation,
    block: fields.slice(0x28, 60),
    attributeBlock: fields.u32(0x68) + ((sb.incompat & INCOMPAT.has64Bit) === 0 ? 0 : fields.u16(0x76) * 2 ** 32),
    tail: fields.slice(Math.min(128 + extraBytes, fields.length), Math.max(fields.length - 128 - extraBytes, 0)),
    checksumSeed: sb.checksumSeed === undefined ? undefined : inodeSeed(sb.checksumSeed, ino, generation),
    stat: {
      type,
      ino,
      mode: fields.u16(0) & 0o7777,
      uid: fields.u16(2) + (sb.isHurd ? 0 : fields.u16(0x78) * 65_536),
      gid: fields.u16(0x18) + (sb.isHurd ? 0 : fields.u16(0x7a) * 65_536),
      sizeBytes: sizeOf(fields, hasBigSize, ino),
      allocatedBytes: allocatedBytes(fields, sb, flags) + (type === 'file' ? inlineBytes(fields, flags) : 0),
      nlink: fields.u16(0x1a),
      mtime: time(0x10, 0x88),
      ctime: time(0xc, 0x84),
      atime: time(0x8, 0x8c),
      ...(extraBytes >= 20 ? { btime: time(0x90, 0x94) } : {}),
      ...(type === 'chr' || type === 'blk' ? { rdev: readDevice(fields) } : {}),
      ...((flags & FLAG.encrypted) === 0 ? {} : { isEncrypted: true as const }),
    },
  }
}

const sizeOf = (fields: Fields, hasBigSize: boolean, ino: number): number => {
  const size = fields.u32(4) + (hasBigSize ? fields.u32(0x6c) * 2 ** 32 : 0)
  if (size > Number.MAX_SAFE_INTEGER) throw corrupt(`inode ${ino}`, 'a size below 2^53', size)
  return size
}

/** How far the fields go beyond the first 128 bytes: each inode says so for itself. */
const extraSize = (fields: Fields): number => {
  if (fields.length < 130) return 0
  const extra = fields.u16(0x80)
  if (extra % 4 !== 0 || 128 + extra > fields.length)
    throw corrupt(fields.where, `at most ${fields.length - 128} bytes of extra fields`, extra)
  return extra
}

/** Signed seconds, and where the inode has them two more bits of seconds above 30 bits of nanoseconds. */
const readTime = (fields: Fields, low: number, extra: number, end: number): bigint => {
  const seconds = BigInt(fields.i32(low))
  if (extra + 4 > end) return seconds * 1_000_000_000n
  const bits = fields.u32(extra)
  return (seconds + (BigInt(bits & 3) << 32n)) * 1_000_000_000n + BigInt(bits >>> 2)
}

const allocatedBytes = (fields: Fields, { roCompat, blockBytes }: Superblock, flags: number): number => {
  const hasHugeFiles = (roCompat & RO_COMPAT.hugeFile) !== 0
  const units = fields.u32(0x1c) + (hasHugeFiles ? fields.u16(0x74) * 2 ** 32 : 0)
  return units * (hasHugeFiles && (flags & FLAG.hugeFile) !== 0 ? blockBytes : 512)
}

/** Data inside the inode has no blocks; Linux counts it in sectors all the same, so that it isn't taken for a hole. */
const inlineBytes = (fields: Fields, flags: number): number =>
  (flags & FLAG.inlineData) === 0 ? 0 : Math.ceil(fields.u32(4) / 512) * 512

/** Two encodings of device numbers: 8 + 8 bits in the first pointer, or 12 + 20 bits in the second. */
const readDevice = (fields: Fields): { major: number; minor: number } => {
  const old = fields.u32(0x28)
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff }
  const device = fields.u32(0x2c)
  return { major: (device >>> 8) & 0xfff, minor: (device & 0xff) | ((device >>> 12) & 0xfff00) }
}

const inodeSeed = (seed: number, ino: number, generation: number): number => {
  const numbers = new Uint8Array(8)
  const view = new DataView(numbers.buffer)
  view.setUint32(0, ino, true)
  view.setUint32(4, generation, true)
  return crc32cRaw(seed, numbers)
}

/** Over the whole inode with the two halves of the checksum zeroed; the high half only where the inode has one. */
const isChecksumRight = (fields: Fields, seed: number): boolean => {
  const bytes = fields.bytes.slice()
  const hasHigh = bytes.length > 128 && fields.u16(0x80) >= 4
  bytes.fill(0, 0x7c, 0x7e)
  if (hasHigh) bytes.fill(0, 0x82, 0x84)
  const found = fields.u16(0x7c) + (hasHigh ? fields.u16(0x82) * 65_536 : 0)
  const sum = crc32cRaw(seed, bytes)
  return found === (hasHigh ? sum : sum & 0xffff)
}
