/**
 * Extended attributes as they stand on disk: behind the inode's fields, or in a block of their own.
 *
 * @see Linux Documentation/filesystems/ext4/attributes.rst
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt, overLimit } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import type { Ext } from './ext.ts'
import type { Inode } from './inode.ts'

const MAGIC = 0xea020000
const BLOCK_HEADER_BYTES = 32
const ENTRY_BYTES = 16

/** XATTR_SIZE_MAX of Linux. */
const MAX_VALUE_BYTES = 65_536

/** The attribute `system.data` is no attribute: it is what inline data doesn't fit into the inode's pointers. */
export const isInlineData = ({ index, name }: RawAttribute): boolean =>
  index === 7 && Buffer.from(name).toString('latin1') === 'data'

export interface RawAttribute {
  readonly index: number
  readonly name: Bytes
  readonly valueInode: number
  readonly valueBytes: number
  /** Where the value stands when it isn't in an inode. */
  readonly value: () => Bytes
}

export const rawAttributes = async (ext: Ext, inode: Inode, options: AbortOptions): Promise<RawAttribute[]> => {
  const attributes = inInode(inode)
  if (inode.attributeBlock === 0) return attributes
  const { blockBytes } = ext.sb
  const where = `inode ${inode.ino}, attribute block ${inode.attributeBlock}`
  const block = new Fields(await ext.disk.bytes(inode.attributeBlock * blockBytes, blockBytes, where, options), where)
  if (block.u32(0) !== MAGIC) throw corrupt(where, `magic ${MAGIC}`, block.u32(0))
  return [...attributes, ...parseEntries(block, BLOCK_HEADER_BYTES, 0)]
}

export const inInode = (inode: Inode): RawAttribute[] => {
  if (inode.tail.length < 8) return []
  const tail = new Fields(inode.tail, `inode ${inode.ino}, attributes`)
  return tail.u32(0) === MAGIC ? parseEntries(tail, 4, 4) : []
}

/** @param valueBase what the offsets of values count from */
const parseEntries = (fields: Fields, start: number, valueBase: number): RawAttribute[] => {
  const attributes: RawAttribute[] = []
  for (let at = start; at + 4 <= fields.length && fields.u32(at) !== 0;) {
    const nameBytes = fields.u8(at)
    const valueOffset = valueBase + fields.u16(at + 2)
    const valueBytes = fields.u32(at + 8)
    if (valueBytes > MAX_VALUE_BYTES) throw overLimit(fields.where, `a value of ${MAX_VALUE_BYTES} bytes`, valueBytes)
    attributes.push({
      index: fields.u8(at + 1),
      name: fields.slice(at + ENTRY_BYTES, nameBytes),
      valueInode: fields.u32(at + 4),
      valueBytes,
      value: () => fields.slice(valueOffset, valueBytes).slice(),
    })
    at += ENTRY_BYTES + Math.ceil(nameBytes / 4) * 4
  }
  return attributes
}
