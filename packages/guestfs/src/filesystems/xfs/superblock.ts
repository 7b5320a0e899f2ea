/**
 * The superblock of XFS, of versions 4 and 5. All integers of XFS are big-endian, but for checksums and its log.
 *
 * @see XFS Algorithms & Data Structures, section "Superblocks"
 * @module
 */
import type { Bytes } from '@granary/core'
import { corrupt, unsupported } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { uuidText } from '../../format/uuid.ts'
import type { WarningLog } from '../../warnings.ts'
import { paddedText } from '../swap.ts'

export const SUPERBLOCK_BYTES = 512
const VERSION_BIT = { log2: 0x400, directory2: 0x2000, moreBits: 0x8000 } as const
const FEATURE2 = { ftype: 0x200 } as const
const INCOMPAT = { ftype: 0x1, needsRepair: 0x10 } as const

/** ftype, sparse inodes, metadata UUID, big times, needs repair, large counters, exchange range, parent pointers. */
const KNOWN_INCOMPAT = 0xff

export interface Superblock {
  readonly version: 4 | 5
  readonly blockBytes: number
  readonly blocks: number
  readonly rootInode: number
  readonly agBlocks: number
  readonly agCount: number
  /** Bits of a block number inside its group: the group's length rounded up, so numbers have gaps. */
  readonly agBlockBits: number
  readonly inodeBytes: number
  /** Bits of an inode number inside its block. */
  readonly inodeBlockBits: number
  readonly directoryBlockBytes: number
  readonly hasFileTypes: boolean
  /** First block of the log, 0 when it is on another device. */
  readonly logStart: number
  readonly logBlocks: number
  readonly isLog2: boolean
  readonly uuid: string
  readonly label: string
}

export const isXfs = (bytes: Bytes): boolean => Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'XFSB'

/** @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_UNSUPPORTED` */
export const readSuperblock = (bytes: Bytes, volumeBytes: number, warnings: WarningLog): Superblock => {
  const where = 'XFS superblock'
  const sb = new Fields(bytes, where, 'big')
  const versionBits = sb.u16(100)
  const version = versionBits & 0xf
  if (version !== 4 && version !== 5) throw unsupported(where, `version ${version}`)
  if ((versionBits & VERSION_BIT.directory2) === 0) throw unsupported(where, 'directories of version 1')
  if (sb.u8(126) !== 0) throw corrupt(where, 'a finished file system', 'one that is being made')
  const incompat = version === 5 ? sb.u32(216) : 0
  if ((incompat & ~KNOWN_INCOMPAT) !== 0) throw unsupported(where, `features 0x${incompat.toString(16)} are not known`)
  if ((incompat & INCOMPAT.needsRepair) !== 0) warnings.add(where, 'it says that it needs repair')
  if (version === 5 && !isSumRight(sb, 224)) warnings.add(where, 'its checksum is wrong')
  const geometry = readGeometry(sb)
  const { blocks, blockBytes } = geometry
  if (blocks * blockBytes > volumeBytes)
    warnings.add(where, `the file system has ${blocks * blockBytes} bytes, its volume only ${volumeBytes}`)
  const features2 = (versionBits & VERSION_BIT.moreBits) === 0 ? 0 : sb.u32(200)
  return {
    ...geometry,
    version,
    hasFileTypes: version === 5 ? (incompat & INCOMPAT.ftype) !== 0 : (features2 & FEATURE2.ftype) !== 0,
    rootInode: sb.u64(56),
    logStart: sb.u64(48),
    logBlocks: sb.u32(96),
    isLog2: version === 5 || (versionBits & VERSION_BIT.log2) !== 0,
    uuid: uuidText(sb.slice(32, 16)),
    label: paddedText(sb, 108, 12),
  }
}

type Geometry = Pick<
  Superblock,
  | 'blockBytes'
  | 'blocks'
  | 'agBlocks'
  | 'agCount'
  | 'agBlockBits'
  | 'inodeBytes'
  | 'inodeBlockBits'
  | 'directoryBlockBytes'
>

const readGeometry = (sb: Fields): Geometry => {
  const expect = (isSound: boolean, what: string, found: number): void => {
    if (!isSound) throw corrupt(sb.where, what, found)
  }
  const blockBytes = sb.u32(4)
  const blockBits = sb.u8(120)
  expect(
    blockBits >= 9 && blockBits <= 16 && blockBytes === 2 ** blockBits,
    'blocks of 512 bytes to 64 KiB',
    blockBytes,
  )
  const inodeBytes = sb.u16(104)
  const inodeBits = sb.u8(122)
  expect(
    inodeBits >= 8 && inodeBits <= 11 && inodeBytes === 2 ** inodeBits && inodeBits <= blockBits,
    'inodes of 256 bytes to 2 KiB',
    inodeBytes,
  )
  const inodeBlockBits = sb.u8(123)
  expect(inodeBlockBits === blockBits - inodeBits, `${blockBits - inodeBits} bits of inodes in a block`, inodeBlockBits)
  const agBlocks = sb.u32(84)
  const agCount = sb.u32(88)
  const agBlockBits = sb.u8(124)
  expect(agBlockBits <= 31 && agBlocks > 0 && agBlocks <= 2 ** agBlockBits, 'groups of some blocks', agBlocks)
  const blocks = sb.u64(8)
  expect(blocks <= Number.MAX_SAFE_INTEGER / blockBytes, 'a size below 2^53', blocks)
  expect(
    agCount > 0 && blocks > (agCount - 1) * agBlocks && blocks <= agCount * agBlocks,
    'groups that cover all blocks',
    agCount,
  )
  const directoryBits = sb.u8(192)
  expect(directoryBits + blockBits <= 16, 'directory blocks of at most 64 KiB', directoryBits)
  return {
    blockBytes,
    blocks,
    agBlocks,
    agCount,
    agBlockBits,
    inodeBytes,
    inodeBlockBits,
    directoryBlockBytes: blockBytes * 2 ** directoryBits,
  }
}

/** Checksums are little-endian, over the whole structure with their own field as zeros. */
export const isSumRight = (fields: Fields, offset: number): boolean => {
  const zero = new Uint8Array(4)
  const before = crc32cRaw(crc32cRaw(0xffffffff, fields.slice(0, offset)), zero)
  const sum = ~crc32cRaw(before, fields.slice(offset + 4, fields.length - offset - 4)) >>> 0
  const stored = fields.slice(offset, 4)
  return sum === new DataView(stored.buffer, stored.byteOffset).getUint32(0, true)
}
