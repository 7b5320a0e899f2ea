/** Extended attributes with their namespaces; large values are in inodes of their own. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfBytes } from '../../format/names.ts'
import type { Xattr } from '../../tree.ts'
import { isInlineData, rawAttributes } from './attribute-entries.ts'
import type { RawAttribute } from './attribute-entries.ts'
import { contentOf } from './content.ts'
import { inodeOf } from './ext.ts'
import type { Ext } from './ext.ts'
import { FLAG } from './inode.ts'
import type { Inode } from './inode.ts'

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
const ENCRYPTION_INDEX = 9

export const xattrsOf = async (ext: Ext, inode: Inode, options: AbortOptions): Promise<Xattr[]> => {
  const attributes: Xattr[] = []
  for (const raw of await rawAttributes(ext, inode, options)) {
    const prefix = PREFIXES[raw.index]
    if (raw.index === ENCRYPTION_INDEX || isInlineData(raw)) continue
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

const valueOf = async (ext: Ext, raw: RawAttribute, options: AbortOptions): Promise<Bytes> => {
  if (raw.valueBytes === 0) return new Uint8Array(0)
  if (raw.valueInode === 0) return raw.value()
  const inode = await inodeOf(ext, raw.valueInode, options)
  const where = `attribute inode ${raw.valueInode}`
  if ((inode.flags & FLAG.eaInode) === 0) throw corrupt(where, 'an inode for attributes', inode.flags)
  if (inode.stat.sizeBytes < raw.valueBytes) throw corrupt(where, `${raw.valueBytes} bytes`, inode.stat.sizeBytes)
  const value = new Uint8Array(raw.valueBytes)
  await contentOf(ext, inode).read(0, value, options)
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
