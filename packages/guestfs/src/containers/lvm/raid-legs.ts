/**
 * Which members of a raid volume hold what was last written: device mapper keeps that in a small volume beside each.
 *
 * @see Linux drivers/md/dm-raid.c, struct dm_raid_superblock
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { Fields } from '../../format/fields.ts'
import type { VolumeGroup } from './volume-group.ts'

const MAGIC = 0x64526d44
const RECOVERED = 0xffff_ffff_ffff_ffffn

/**
 * False when the member was being filled, or had failed, at the time of the snapshot. A member without a superblock
 * was never out of sync.
 */
export const isLegInSync = async (
  group: VolumeGroup,
  metadata: string,
  index: number,
  options: AbortOptions,
): Promise<boolean> => {
  const place = await group.place(metadata, 0, options)
  if ('missing' in place) return true
  const bytes = new Uint8Array(512)
  try {
    await place.disk.read(place.offset, bytes, options)
  } catch {
    options.signal?.throwIfAborted()
    return true
  }
  const sb = new Fields(bytes, `raid metadata ${metadata}`)
  if (sb.u32(0) !== MAGIC) return true
  const hasFailed = index < 64 && ((sb.big64(24) >> BigInt(index)) & 1n) === 1n
  return !hasFailed && sb.big64(32) === RECOVERED
}
