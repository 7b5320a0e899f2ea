/**
 * The superblock of btrfs, and its copies.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, section "Superblock"
 * @module
 */
import type { Bytes } from '@granary/core'
import { corrupt, unsupported } from '../../errors.ts'
import { crc32c } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { uuidText } from '../../format/uuid.ts'
import type { WarningLog } from '../../warnings.ts'
import { paddedText } from '../swap.ts'

export const SUPERBLOCK_BYTES = 4096
/** Of the superblock and its copies. */
export const SUPERBLOCK_OFFSETS = [65_536, 64 * 2 ** 20, 256 * 2 ** 30]
const MAGIC = '_BHRfS_M'
const CHECKSUM_CRC32C = 0

/** All up to the simple quotas; the RAID stripe tree (bit 14) and the newer extent tree (13) change where things are. */
const KNOWN_INCOMPAT = 0x1fffn | 0x10000n

export interface Superblock {
  readonly uuid: string
  /** What tree blocks carry: the UUID, or another where the UUID was changed. */
  readonly generation: bigint
  readonly rootTree: number
  readonly rootLevel: number
  readonly chunkTree: number
  readonly chunkLevel: number
  /** Zero where nothing was synced since the last commit. */
  readonly logTree: number
  readonly logLevel: number
  readonly totalBytes: number
  readonly devices: number
  readonly deviceId: bigint
  readonly sectorBytes: number
  readonly nodeBytes: number
  readonly checksumType: number
  readonly label: string
  /** Chunk items that make the chunk tree itself readable. */
  readonly systemChunks: Bytes
}

export const isBtrfs = (bytes: Bytes): boolean => Buffer.from(bytes.subarray(64, 72)).toString('latin1') === MAGIC

/** @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_UNSUPPORTED` */
export const readSuperblock = (bytes: Bytes, offset: number, warnings: WarningLog): Superblock => {
  const where = `btrfs superblock at ${offset}`
  const sb = new Fields(bytes, where)
  if (!isBtrfs(bytes)) throw corrupt(where, `magic ${MAGIC}`, sb.ascii(64, 8))
  if (sb.u64(48) !== offset) throw corrupt(where, 'its own place', sb.u64(48))
  const incompat = sb.big64(188)
  if ((incompat & ~KNOWN_INCOMPAT) !== 0n) throw unsupported(where, `features 0x${incompat.toString(16)} are not known`)
  const checksumType = sb.u16(196)
  if (checksumType === CHECKSUM_CRC32C && crc32c(sb.slice(32, SUPERBLOCK_BYTES - 32)) !== sb.u32(0))
    warnings.add(where, 'its checksum is wrong')
  const sectorBytes = sb.u32(144)
  const nodeBytes = sb.u32(148)
  const isSize = (value: number): boolean => value >= 4096 && value <= 65_536 && Number.isInteger(Math.log2(value))
  if (!isSize(sectorBytes) || !isSize(nodeBytes))
    throw corrupt(where, 'sectors and nodes of 4 to 64 KiB', `${sectorBytes}, ${nodeBytes}`)
  const systemBytes = sb.u32(160)
  if (systemBytes > 2048) throw corrupt(where, 'at most 2048 bytes of chunks', systemBytes)
  return {
    uuid: uuidText(sb.slice(32, 16)),
    generation: sb.big64(72),
    rootTree: sb.u64(80),
    chunkTree: sb.u64(88),
    logTree: sb.u64(96),
    totalBytes: sb.u64(112),
    devices: sb.u64(136),
    sectorBytes,
    nodeBytes,
    systemChunks: sb.slice(811, systemBytes),
    checksumType,
    rootLevel: sb.u8(198),
    chunkLevel: sb.u8(199),
    logLevel: sb.u8(200),
    deviceId: sb.big64(201),
    label: paddedText(sb, 299, 256),
  }
}
