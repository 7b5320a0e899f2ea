/**
 * Superblocks of Linux software arrays, of version 1 (little-endian, at one of three places) and 0.90 (in the byte
 * order of its machine, at the end).
 *
 * @see Linux include/uapi/linux/raid/md_p.h
 * @module
 */
import type { Bytes } from '@granary/core'
import type { Probe } from '../../detect.ts'
import { Fields } from '../../format/fields.ts'
import { uuidText } from '../../format/uuid.ts'
import { paddedText } from '../../filesystems/swap.ts'

const MAGIC = 0xa92b4efc
const SECTOR_BYTES = 512
const ROLES_OFFSET = 256
const MAX_DEVICES = 4096
const SUPERBLOCK_BYTES = 4096
const FEATURE = { recoveryOffset: 0x2, reshape: 0x4, journal: 0x200 } as const
const OLD_BYTES = 4096
const OLD_RESERVED_BYTES = 65_536

export interface MdSuperblock {
  readonly version: '0.90' | '1.0' | '1.1' | '1.2'
  readonly uuid: string
  /** As in `host:name`. */
  readonly name: string
  /** -1 is linear. */
  readonly level: number
  readonly layout: number
  /** Used of each member, bytes; 0 where the level doesn't say. */
  readonly memberBytes: number
  readonly chunkBytes: number
  readonly raidDisks: number
  readonly dataOffset: number
  /** Room for data on this member, bytes. */
  readonly dataBytes: number
  /** Grows with each change: a lower number is an older state. */
  readonly events: bigint
  /** Place in the array, or undefined for a spare, a failed one or one that isn't filled yet. */
  readonly role: number | undefined
  readonly isReshaping: boolean
}

/** The superblock of a member, or undefined where there is none. */
export const findMdSuperblock = async (probe: Probe): Promise<MdSuperblock | undefined> => {
  const { sizeBytes } = probe.disk
  const end = Math.floor((sizeBytes - 8192) / 4096) * 4096
  const places = [
    ['1.1', 0],
    ['1.2', 4096],
    ['1.0', end],
  ] as const
  for (const [version, offset] of places) {
    const bytes = offset < 0 ? undefined : await peekAtMost(probe, offset)
    const found = bytes === undefined ? undefined : readSuperblock(probe, bytes, version, offset)
    if (found !== undefined) return found
  }
  const oldOffset = Math.floor(sizeBytes / OLD_RESERVED_BYTES) * OLD_RESERVED_BYTES - OLD_RESERVED_BYTES
  const old = oldOffset < 0 ? undefined : await probe.peek(oldOffset, OLD_BYTES)
  return old === undefined ? undefined : readOldSuperblock(probe, old, oldOffset)
}

const peekAtMost = async ({ peek, disk }: Probe, offset: number): Promise<Bytes | undefined> =>
  await peek(offset, Math.min(SUPERBLOCK_BYTES, disk.sizeBytes - offset))

const readSuperblock = (
  probe: Probe,
  bytes: Bytes,
  version: MdSuperblock['version'],
  offset: number,
): MdSuperblock | undefined => {
  if (bytes.length < ROLES_OFFSET) return undefined
  const sb = new Fields(bytes, 'md superblock')
  if (sb.u32(0) !== MAGIC || sb.u32(4) !== 1) return undefined
  // One at the end of a partition shows at the end of the disk too: it tells where it belongs.
  if (sb.big64(144) * BigInt(SECTOR_BYTES) !== BigInt(offset)) return undefined
  const devices = sb.u32(220)
  if (devices > MAX_DEVICES || ROLES_OFFSET + devices * 2 > bytes.length || !isSumRight(sb, devices)) {
    probe.warnings.add(probe.where, 'a damaged superblock of an md array is passed over')
    return undefined
  }
  const features = sb.u32(8)
  const device = sb.u32(160)
  const role = device < devices ? sb.u16(ROLES_OFFSET + device * 2) : 0xffff
  const isFilled = (features & FEATURE.recoveryOffset) === 0
  return {
    version,
    uuid: uuidText(sb.slice(16, 16)),
    name: paddedText(sb, 32, 32),
    level: sb.i32(72),
    layout: sb.u32(76),
    memberBytes: sb.u64(80) * SECTOR_BYTES,
    chunkBytes: sb.u32(88) * SECTOR_BYTES,
    raidDisks: sb.u32(92),
    dataOffset: sb.u64(128) * SECTOR_BYTES,
    dataBytes: sb.u64(136) * SECTOR_BYTES,
    events: sb.big64(200),
    role: role < sb.u32(92) && isFilled ? role : undefined,
    isReshaping: (features & (FEATURE.reshape | FEATURE.journal)) !== 0,
  }
}

/** All words added up, the carries too, with the word of the sum itself as 0. */
const isSumRight = (sb: Fields, devices: number): boolean => {
  const length = ROLES_OFFSET + devices * 2
  let sum = 0
  for (let at = 0; at + 4 <= length; at += 4) sum += at === 216 ? 0 : sb.u32(at)
  if (length % 4 === 2) sum += sb.u16(length - 2)
  const low = sum % 2 ** 32
  return (low + (sum - low) / 2 ** 32) % 2 ** 32 === sb.u32(216)
}

const readOldSuperblock = (probe: Probe, bytes: Bytes, offset: number): MdSuperblock | undefined => {
  const isLittle = new Fields(bytes, '').u32(0) === MAGIC
  const sb = new Fields(bytes, 'md superblock', isLittle ? 'little' : 'big')
  const word = (index: number): number => sb.u32(index * 4)
  if (word(0) !== MAGIC || word(1) !== 0 || word(2) < 90) return undefined
  const memberBytes = word(8) * 1024
  // The last partition's shows at the end of the disk too, and doesn't tell: but then its size is another.
  const isOfPartition = probe.kind === 'whole' && memberBytes > 0 && offset - memberBytes > 1024 * 1024
  if (isOfPartition) return undefined
  const raidDisks = word(10)
  const role = word(992 + 3)
  const IN_SYNC = 0x4
  return {
    version: '0.90',
    uuid: uuidText(Uint8Array.from([5, 13, 14, 15].flatMap(index => [...sb.slice(index * 4, 4)]))),
    name: '',
    level: sb.i32(7 * 4),
    layout: word(64),
    memberBytes,
    chunkBytes: word(65),
    raidDisks,
    dataOffset: 0,
    dataBytes: offset,
    events: (BigInt(word(isLittle ? 40 : 39)) << 32n) + BigInt(word(isLittle ? 39 : 40)),
    role: role < raidDisks && (word(992 + 4) & IN_SYNC) !== 0 ? role : undefined,
    // Version 0.91 is 0.90 while it is being reshaped.
    isReshaping: word(2) > 90,
  }
}
