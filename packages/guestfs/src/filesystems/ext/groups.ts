/**
 * Block group descriptors.
 *
 * @see Linux Documentation/filesystems/ext4/group_descr.rst
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { INCOMPAT, RO_COMPAT } from './superblock.ts'
import type { Superblock } from './superblock.ts'
import type { Ext } from './ext.ts'

/** Descriptors kept parsed: neighbours of a walk. */
const MAX_KEPT = 1024

export interface Group {
  /** First block of the inode table. */
  readonly inodeTable: number
}

export const readGroup = async (ext: Ext, group: number, options: AbortOptions): Promise<Group> => {
  const kept = ext.groups.get(group)
  if (kept !== undefined) return kept
  const { sb, disk, warnings } = ext
  const where = `group ${group}`
  const fields = new Fields(
    await disk.bytes(descriptorOffset(sb, group), sb.descriptorBytes, `descriptor of ${where}`, options),
    where,
  )
  const inodeTable = fields.u32(8) + (sb.descriptorBytes >= 64 ? fields.u32(0x28) * 2 ** 32 : 0)
  if (inodeTable <= sb.firstDataBlock || inodeTable >= sb.blocks)
    throw corrupt(where, `an inode table below block ${sb.blocks}`, inodeTable)
  if (sb.checksumSeed !== undefined && descriptorChecksum(sb.checksumSeed, group, fields.bytes) !== fields.u16(0x1e))
    warnings.add(where, "its descriptor's checksum is wrong")
  if (ext.groups.size >= MAX_KEPT) ext.groups.clear()
  ext.groups.set(group, { inodeTable })
  return { inodeTable }
}

/** With meta_bg, descriptors stand in the first group of those they describe instead of all behind the superblock. */
const descriptorOffset = (sb: Superblock, group: number): number => {
  const perBlock = sb.blockBytes / sb.descriptorBytes
  const index = Math.floor(group / perBlock)
  // Behind the superblock, which with blocks of 1 KiB is block 1 even where data begins at block 0.
  let block = (sb.blockBytes === 1024 ? 2 : 1) + index
  if ((sb.incompat & INCOMPAT.metaBlockGroups) !== 0 && index >= sb.firstMetaGroup) {
    const first = index * perBlock
    block = sb.firstDataBlock + first * sb.blocksPerGroup + (hasSuperblock(sb, first) ? 1 : 0)
    if (sb.blockBytes === 1024 && sb.firstDataBlock === 0 && index === 0) block++
  }
  return block * sb.blockBytes + (group % perBlock) * sb.descriptorBytes
}

/** With sparse_super, only groups 0, 1 and the powers of 3, 5 and 7 have a copy of the superblock. */
const hasSuperblock = (sb: Superblock, group: number): boolean => {
  if ((sb.roCompat & RO_COMPAT.sparseSuper) === 0 || group <= 1) return true
  return [3, 5, 7].some(base => {
    let power = base
    while (power < group) power *= base
    return power === group
  })
}

const descriptorChecksum = (seed: number, group: number, bytes: Bytes): number => {
  const number = new Uint8Array(4)
  new DataView(number.buffer).setUint32(0, group, true)
  const zeroed = bytes.slice()
  zeroed.fill(0, 0x1e, 0x20)
  return crc32cRaw(crc32cRaw(seed, number), zeroed) & 0xffff
}
