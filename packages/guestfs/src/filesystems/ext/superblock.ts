/**
 * The superblock of ext2, ext3 and ext4.
 *
 * @see Linux Documentation/filesystems/ext4/super.rst
 * @module
 */
import type { Bytes } from '@granary/core'
import { corrupt, unsupported } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { uuidText } from '../../format/uuid.ts'
import type { WarningLog } from '../../warnings.ts'
import { paddedText } from '../swap.ts'

export const SUPERBLOCK_OFFSET = 1024
export const SUPERBLOCK_BYTES = 1024
const MAGIC = 0xef53

export const COMPAT = { hasJournal: 0x4 } as const
export const INCOMPAT = {
  filetype: 0x2,
  recover: 0x4,
  journalDevice: 0x8,
  metaBlockGroups: 0x10,
  extents: 0x40,
  has64Bit: 0x80,
  multiMount: 0x100,
  flexBlockGroups: 0x200,
  eaInode: 0x400,
  checksumSeed: 0x2000,
  largeDirectory: 0x4000,
  inlineData: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
} as const
export const RO_COMPAT = { sparseSuper: 0x1, hugeFile: 0x8, bigalloc: 0x200, metadataChecksums: 0x400 } as const

/** Bits that ext3 knows; any other makes it ext4, as libblkid decides. */
const EXT3_INCOMPAT = INCOMPAT.filetype | INCOMPAT.recover | INCOMPAT.metaBlockGroups
const EXT3_RO_COMPAT = 0x7

const KNOWN_INCOMPAT = Object.values(INCOMPAT).reduce((all, bit) => all | bit, 0)

export interface Superblock {
  readonly fileSystem: 'ext2' | 'ext3' | 'ext4'
  readonly inodes: number
  readonly blocks: number
  readonly blockBytes: number
  /** Allocation unit: more than a block with bigalloc. */
  readonly clusterBytes: number
  readonly firstDataBlock: number
  readonly blocksPerGroup: number
  readonly inodesPerGroup: number
  readonly groups: number
  readonly inodeBytes: number
  readonly descriptorBytes: number
  readonly firstMetaGroup: number
  readonly isHurd: boolean
  readonly compat: number
  readonly incompat: number
  readonly roCompat: number
  readonly journalInode: number
  readonly uuid: string
  readonly label: string
  /** Where the guest last mounted it. */
  readonly lastMounted: string
  /** Seed of all checksums of metadata, or undefined when the file system has none. */
  readonly checksumSeed: number | undefined
}

/** True when there is a superblock: enough to name the file system. */
export const isExt = (bytes: Bytes): boolean => bytes[0x38] === (MAGIC & 0xff) && bytes[0x39] === MAGIC >> 8

/**
 * Reads and checks a superblock. What can be read around is a warning.
 *
 * @param volumeBytes size of the volume it is on
 * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_UNSUPPORTED`
 */
export const readSuperblock = (bytes: Bytes, volumeBytes: number, warnings: WarningLog): Superblock => {
  const sb = new Fields(bytes, 'ext superblock')
  if (!isExt(bytes)) throw corrupt('ext superblock', `magic ${MAGIC}`, sb.u16(0x38))
  const incompat = sb.u32(0x60)
  if ((incompat & INCOMPAT.journalDevice) !== 0) throw unsupported('ext superblock', 'this is an external journal')
  const unknown = incompat & ~KNOWN_INCOMPAT
  if (unknown !== 0) throw unsupported('ext superblock', `features 0x${(unknown >>> 0).toString(16)} are not known`)
  const revision = sb.u32(0x4c)
  if (revision > 1) warnings.add('ext superblock', `revision ${revision} is newer than 1`)

  const geometry = readGeometry(sb, revision, incompat)
  const seed = checksumSeed(sb, incompat)
  if (seed !== undefined && crc32cRaw(0xffffffff, sb.slice(0, 0x3fc)) !== sb.u32(0x3fc))
    warnings.add('ext superblock', 'its checksum is wrong')
  warnAboutSizes(sb, geometry, volumeBytes, warnings)
  return {
    ...geometry,
    fileSystem: nameOf(sb),
    isHurd: sb.u32(0x48) === 1,
    firstMetaGroup: sb.u32(0x104),
    compat: sb.u32(0x5c),
    incompat,
    roCompat: sb.u32(0x64),
    journalInode: sb.u32(0xe0),
    uuid: uuidText(sb.slice(0x68, 16)),
    label: paddedText(sb, 0x78, 16),
    lastMounted: paddedText(sb, 0x88, 64),
    checksumSeed: seed,
  }
}

type Geometry = Pick<
  Superblock,
  | 'inodes'
  | 'blocks'
  | 'blockBytes'
  | 'clusterBytes'
  | 'firstDataBlock'
  | 'blocksPerGroup'
  | 'inodesPerGroup'
  | 'groups'
  | 'inodeBytes'
  | 'descriptorBytes'
>

const readGeometry = (sb: Fields, revision: number, incompat: number): Geometry => {
  const expect = (isSound: boolean, what: string, found: number): void => {
    if (!isSound) throw corrupt('ext superblock', what, found)
  }
  const has64Bit = (incompat & INCOMPAT.has64Bit) !== 0
  expect(sb.u32(0x18) <= 6, 'a block size of 1 to 64 KiB', sb.u32(0x18))
  const blockBytes = 1024 << sb.u32(0x18)
  const blocks = sb.u32(0x4) + (has64Bit ? sb.u32(0x150) * 2 ** 32 : 0)
  const firstDataBlock = sb.u32(0x14)
  expect(firstDataBlock <= (blockBytes === 1024 ? 1 : 0), 'a first data block of 0 or 1', firstDataBlock)
  expect(blocks > firstDataBlock && blocks * blockBytes <= Number.MAX_SAFE_INTEGER, 'a number of blocks', blocks)
  const blocksPerGroup = sb.u32(0x20)
  const isBigalloc = (sb.u32(0x64) & RO_COMPAT.bigalloc) !== 0
  const clusterBlocks = isBigalloc ? 2 ** Math.min(Math.max(sb.u32(0x1c) - sb.u32(0x18), 0), 20) : 1
  const maxBlocks = 8 * blockBytes * clusterBlocks
  expect(blocksPerGroup > 0 && blocksPerGroup <= maxBlocks, `1 to ${maxBlocks} blocks in a group`, blocksPerGroup)
  const inodeBytes = revision === 0 ? 128 : sb.u16(0x58)
  const isInodeSize = inodeBytes >= 128 && inodeBytes <= blockBytes && Number.isInteger(Math.log2(inodeBytes))
  expect(isInodeSize, 'an inode size of 128 bytes to a block', inodeBytes)
  const inodesPerGroup = sb.u32(0x28)
  expect(
    inodesPerGroup > 0 && inodesPerGroup <= 8 * blockBytes,
    `1 to ${8 * blockBytes} inodes in a group`,
    inodesPerGroup,
  )
  const descriptorBytes = has64Bit ? sb.u16(0xfe) : 32
  const isDescriptorSize = descriptorBytes >= (has64Bit ? 64 : 32) && descriptorBytes <= 1024
  expect(isDescriptorSize && Number.isInteger(Math.log2(descriptorBytes)), 'a descriptor size', descriptorBytes)
  return {
    inodes: sb.u32(0),
    blocks,
    blockBytes,
    clusterBytes: blockBytes * clusterBlocks,
    firstDataBlock,
    blocksPerGroup,
    inodesPerGroup,
    groups: Math.ceil((blocks - firstDataBlock) / blocksPerGroup),
    inodeBytes,
    descriptorBytes,
  }
}

const checksumSeed = (sb: Fields, incompat: number): number | undefined => {
  if ((sb.u32(0x64) & RO_COMPAT.metadataChecksums) === 0) return undefined
  if ((incompat & INCOMPAT.checksumSeed) !== 0) return sb.u32(0x270)
  return crc32cRaw(0xffffffff, sb.slice(0x68, 16))
}

const warnAboutSizes = (sb: Fields, geometry: Geometry, volumeBytes: number, warnings: WarningLog): void => {
  const { blocks, blockBytes, inodes, groups, inodesPerGroup } = geometry
  const where = 'ext superblock'
  if (blocks * blockBytes > volumeBytes)
    warnings.add(where, `the file system has ${blocks * blockBytes} bytes, its volume only ${volumeBytes}`)
  if (inodes !== groups * inodesPerGroup)
    warnings.add(where, `${inodes} inodes, but ${groups} groups of ${inodesPerGroup}`)
  if ((sb.u32(0x60) & INCOMPAT.has64Bit) === 0 && ![0, 32, 64].includes(sb.u16(0xfe)))
    warnings.add(where, `descriptor size ${sb.u16(0xfe)} makes no sense, and is not used`)
  if (sb.u32(0xe0) > inodes) warnings.add(where, `journal inode ${sb.u32(0xe0)} does not exist`)
}

const nameOf = (sb: Fields): Superblock['fileSystem'] => {
  const hasJournal = (sb.u32(0x5c) & COMPAT.hasJournal) !== 0
  const isExt4 = (sb.u32(0x60) & ~EXT3_INCOMPAT) !== 0 || (sb.u32(0x64) & ~EXT3_RO_COMPAT) !== 0
  if (isExt4) return 'ext4'
  return hasJournal ? 'ext3' : 'ext2'
}
