/**
 * Extended attributes: behind the inode's fields, in a block of their own, large values in inodes of their own.
 *
 * @see Linux Documentation/filesystems/ext4/attributes.rst
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt, overLimit } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfBytes } from '../../format/names.ts'
import type { Xattr } from '../../tree.ts'
import { contentOf } from './content.ts'
import { inodeOf } from './ext.ts'
import type { Ext } from './ext.ts'
import { FLAG } from './inode.ts'
import type { Inode } from './inode.ts'

const MAGIC = 0xea020000
const BLOCK_HEADER_BYTES = 32
const ENTRY_BYTES = 16

/** XATTR_SIZE_MAX of Linux. */
const MAX_VALUE_BYTES = 65_536

/** What stands before the name on disk as a number. */
const PREFIXES: Readonly<Record<number, string>> = {
  1: 'user.',
  2: 'system.posix_acl_access',
  3: 'system.posix_acl_default',
  4: 'trusted.',
  6: 'security.',
  7: 'system.',
  8: 'system.richacl',
}
const ACL_INDEXES = [2, 3]
const SYSTEM_INDEX = 7
const ENCRYPTION_INDEX = 9

interface RawAttribute {
  readonly index: number
  readonly name: Bytes
  readonly valueInode: number
  readonly valueBytes: number
  /** Where the value stands when it isn't in an inode. */
  readonly value: () => Bytes
}

export const xattrsOf = async (ext: Ext, inode: Inode, options: AbortOptions): Promise<Xattr[]> => {
  const attributes: Xattr[] = []
  for (const raw of await rawAttributes(ext, inode, options)) {
    const prefix = PREFIXES[raw.index]
    const isInlineData = raw.index === SYSTEM_INDEX && nameOfBytes(raw.name).text === 'data'
    if (raw.index === ENCRYPTION_INDEX || isInlineData) continue
    if (prefix === undefined) {
      ext.warnings.add(`inode ${inode.ino}`, `attribute with the unknown prefix ${raw.index} is not shown`)
      continue
    }
    const value = await valueOf(ext, raw, options)
    attributes.push({
      name: nameOfBytes(Uint8Array.from([...Buffer.from(prefix), ...raw.name])),
      value: ACL_INDEXES.includes(raw.index) ? aclValue(value, `inode ${inode.ino}, access list`) : value,
    })
  }
  return attributes
}

/** What inline data doesn't fit into the inode's pointers. */
export const inlineRest = async (ext: Ext, inode: Inode, options: AbortOptions): Promise<Bytes> => {
  for (const raw of inInode(inode)) {
    if (raw.index === SYSTEM_INDEX && nameOfBytes(raw.name).text === 'data') return await valueOf(ext, raw, options)
  }
  return new Uint8Array(0)
}

const rawAttributes = async (ext: Ext, inode: Inode, options: AbortOptions): Promise<RawAttribute[]> => {
  const attributes = inInode(inode)
  if (inode.attributeBlock === 0) return attributes
  const { blockBytes } = ext.sb
  const where = `inode ${inode.ino}, attribute block ${inode.attributeBlock}`
  const block = new Fields(await ext.disk.bytes(inode.attributeBlock * blockBytes, blockBytes, where, options), where)
  if (block.u32(0) !== MAGIC) throw corrupt(where, `magic ${MAGIC}`, block.u32(0))
  return [...attributes, ...parseEntries(block, BLOCK_HEADER_BYTES, 0)]
}

const inInode = (inode: Inode): RawAttribute[] => {
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

const valueOf = async (ext: Ext, raw: RawAttribute, options: AbortOptions): Promise<Bytes> => {
  if (raw.valueBytes === 0) return new Uint8Array(0)
  if (raw.valueInode === 0) return raw.value()
  const inode = await inodeOf(ext, raw.valueInode, options)
  const where = `attribute inode ${raw.valueInode}`
  if ((inode.flags & FLAG.eaInode) === 0) throw corrupt(where, 'an inode for attributes', inode.flags)
  if (inode.stat.sizeBytes < raw.valueBytes) throw corrupt(where, `${raw.valueBytes} bytes`, inode.stat.sizeBytes)
  const value = new Uint8Array(raw.valueBytes)
  await (await contentOf(ext, inode, options)).read(0, value, options)
  return value
}

const ACL_USER = 0x02
const ACL_GROUP = 0x08
const NO_ID = 0xffffffff

/** From the compact form on disk (version 1, ids only where they mean something) to that of the attribute (version 2). */
const aclValue = (bytes: Bytes, where: string): Bytes => {
  const fields = new Fields(bytes, where)
  if (fields.u32(0) !== 1) throw corrupt(where, 'version 1', fields.u32(0))
  const entries: [tag: number, permissions: number, id: number][] = []
  for (let at = 4; at < bytes.length;) {
    const tag = fields.u16(at)
    const hasId = tag === ACL_USER || tag === ACL_GROUP
    entries.push([tag, fields.u16(at + 2), hasId ? fields.u32(at + 4) : NO_ID])
    at += hasId ? 8 : 4
  }
  const value = new DataView(new ArrayBuffer(4 + entries.length * 8))
  value.setUint32(0, 2, true)
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    value.setUint16(4 + index * 8, tag, true)
    value.setUint16(6 + index * 8, permissions, true)
    value.setUint32(8 + index * 8, id, true)
  }
  return new Uint8Array(value.buffer)
}
