/**
 * Thin volumes: a B-tree of device mapper says for each of its blocks where in the pool it is.
 *
 * @see Linux Documentation/device-mapper/thin-provisioning.rst, drivers/md/persistent-data/dm-btree-internal.h
 * @module
 */
import type { AbortOptions, DiskReader } from '@granary/core'
import { CachedDisk } from '../../disk/cached-disk.ts'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import type { Piece } from '../../disk/mapped-disk.ts'
import { corrupt } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { lastIndex } from '../../last-index.ts'
import type { ConfigSection } from './config.ts'
import type { VolumeGroup } from './volume-group.ts'

const SECTOR_BYTES = 512
const BLOCK_BYTES = 4096
const SUPERBLOCK_MAGIC = 27_022_010n
const SUPERBLOCK_SALT = 160_774
const NODE_SALT = 121_107
const NODE_HEADER_BYTES = 32
const INTERNAL = 1
const LEAF = 2
const MAX_DEPTH = 16
const METADATA_CACHE_BYTES = 2 * 1024 * 1024

/** A leaf, and the keys it answers for. */
interface Leaf {
  readonly fields: Fields
  readonly entries: number
  readonly capacity: number
  readonly from: number
  readonly to: number
}

/** A disk of a device in a pool; what was never written reads as zeros, or as the origin outside the pool. */
export const thinDisk = async (
  group: VolumeGroup,
  section: ConfigSection,
  sizeBytes: number,
  where: string,
  options: AbortOptions,
): Promise<DiskReader> => {
  const pool = group.logicalVolume(section.text('thin_pool')).sections()[0]?.[1]
  if (pool === undefined) throw corrupt(where, 'a thin pool', 'one without segments')
  const metadata = new CachedDisk(await group.disk(pool.text('metadata'), options), {
    capacityBytes: METADATA_CACHE_BYTES,
  })
  const data = await group.disk(pool.text('pool'), options)
  const originName = section.optionalText('external_origin')
  const origin = originName === undefined ? undefined : await group.disk(originName, options)
  const sb = await readBlock(metadata, 0, SUPERBLOCK_SALT, options)
  if (sb.big64(32) !== SUPERBLOCK_MAGIC) throw corrupt(sb.where, `magic ${SUPERBLOCK_MAGIC}`, sb.big64(32))
  const blockBytes = sb.u32(336) * SECTOR_BYTES
  if (blockBytes < 65_536 || blockBytes > 2 ** 30) throw corrupt(sb.where, 'blocks of 64 KiB to 1 GiB', blockBytes)
  const device = section.number('device_id')
  const deviceLeaf = await findLeaf(metadata, sb.u64(320), device, options)
  const root = valueAt(deviceLeaf, device)

  const behind = (offset: number, length: number): Piece => {
    const left = (origin?.sizeBytes ?? 0) - offset
    if (origin === undefined || left <= 0) return { kind: 'hole', length }
    return { kind: 'disk', disk: origin, offset, length: Math.min(length, left) }
  }
  let leaf: Leaf | undefined
  return mappedDisk({
    sizeBytes,
    blockBytes: SECTOR_BYTES,
    where,
    async locate(offset, abort): Promise<Piece> {
      if (root === undefined) return behind(offset, sizeBytes - offset)
      const block = Math.floor(offset / blockBytes)
      if (leaf === undefined || block < leaf.from || block >= leaf.to)
        leaf = await findLeaf(metadata, Number(root), block, abort)
      const value = valueAt(leaf, block)
      const skip = offset - block * blockBytes
      if (value === undefined) return behind(offset, Math.min(nextKey(leaf, block) * blockBytes, sizeBytes) - offset)
      const place = Number(value >> 24n) * blockBytes + skip
      const length = Math.min(blockBytes - skip, sizeBytes - offset)
      if (place + length > data.sizeBytes)
        throw corrupt(where, `a place inside the pool of ${data.sizeBytes} bytes`, place)
      return { kind: 'disk', disk: data, offset: place, length }
    },
  })
}

const readBlock = async (metadata: CachedDisk, block: number, salt: number, options: AbortOptions): Promise<Fields> => {
  const where = `thin pool metadata, block ${block}`
  const fields = new Fields(await metadata.bytes(block * BLOCK_BYTES, BLOCK_BYTES, where, options), where)
  const sum = (crc32cRaw(0xffffffff, fields.slice(4, BLOCK_BYTES - 4)) ^ salt) >>> 0
  if (sum !== fields.u32(0)) throw corrupt(where, `checksum ${sum}`, fields.u32(0))
  return fields
}

/** Goes down to the leaf that has the key, or would have it. Keys of a child lie between its own and the next. */
const findLeaf = async (metadata: CachedDisk, root: number, key: number, options: AbortOptions): Promise<Leaf> => {
  let block = root
  let from = 0
  let to = Infinity
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const fields = await readBlock(metadata, block, NODE_SALT, options)
    const flags = fields.u32(4)
    const entries = fields.u32(16)
    const capacity = fields.u32(20)
    const isSound =
      fields.u64(8) === block &&
      (flags === LEAF || flags === INTERNAL) &&
      entries <= capacity &&
      fields.u32(24) === 8 &&
      NODE_HEADER_BYTES + capacity * 16 <= BLOCK_BYTES
    if (!isSound)
      throw corrupt(fields.where, 'a node of the mapping tree', `flags ${flags}, ${entries} of ${capacity} entries`)
    const leaf = { fields, entries, capacity, from, to }
    if (flags === LEAF) return leaf
    const index = Math.max(lastAtMost(leaf, key), 0)
    if (entries === 0) throw corrupt(fields.where, 'some children', 0)
    if (index > 0) from = keyAt(leaf, index)
    if (index + 1 < entries) to = Math.min(to, keyAt(leaf, index + 1))
    block = fields.u64(NODE_HEADER_BYTES + capacity * 8 + index * 8)
  }
  throw corrupt('thin pool metadata', `at most ${MAX_DEPTH} levels`, 'more')
}

const keyAt = ({ fields }: Leaf, index: number): number => fields.u64(NODE_HEADER_BYTES + index * 8)

const lastAtMost = (leaf: Leaf, key: number): number => lastIndex(leaf.entries, index => keyAt(leaf, index) <= key)

const valueAt = (leaf: Leaf, key: number): bigint | undefined => {
  const index = lastAtMost(leaf, key)
  if (index < 0 || keyAt(leaf, index) !== key) return undefined
  return leaf.fields.big64(NODE_HEADER_BYTES + leaf.capacity * 8 + index * 8)
}

const nextKey = (leaf: Leaf, key: number): number => {
  const index = lastAtMost(leaf, key) + 1
  return index < leaf.entries ? Math.max(keyAt(leaf, index), key + 1) : leaf.to
}
