/**
 * Extended attributes: in the inode, or in leaves of a hash tree, which are linked.
 *
 * @see XFS Algorithms & Data Structures, chapter "Extended Attributes"
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt, overLimit } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfBytes } from '../../format/names.ts'
import type { Xattr } from '../../tree.ts'
import { forkContent } from './content.ts'
import { FORMAT } from './inode.ts'
import type { Fork, Inode, Xfs } from './inode.ts'
import { readRemoteValue } from './remote-value.ts'
import type { RemoteValue } from './remote-value.ts'
import { isSumRight } from './superblock.ts'

const FLAG = { local: 0x1, root: 0x2, secure: 0x4, parent: 0x8, incomplete: 0x80 } as const
const LEAF = {
  4: { magic: 0xfbee, infoBytes: 12, headerBytes: 32 },
  5: { magic: 0x3bee, infoBytes: 56, headerBytes: 80 },
} as const
const NODE = { 4: { magic: 0xfebe, headerBytes: 16 }, 5: { magic: 0x3ebe, headerBytes: 64 } } as const
const CRC_OFFSET = 12
const MAX_VALUE_BYTES = 65_536
const MAX_LEVELS = 8

/** A million blocks of attributes: more than the sixteen-bit counters of most inodes allow. */
const MAX_LEAVES = 65_536

interface RawAttribute {
  readonly flags: number
  readonly name: Bytes
  readonly value: () => Promise<Bytes> | Bytes
}

export const xattrsOf = async (xfs: Xfs, inode: Inode, options: AbortOptions): Promise<Xattr[]> => {
  const xattrs: Xattr[] = []
  if (inode.attributes === undefined) return xattrs
  for await (const { flags, name, value } of rawAttributes(xfs, inode, inode.attributes, options)) {
    if ((flags & (FLAG.incomplete | FLAG.parent)) !== 0) continue
    const prefix = (flags & FLAG.root) !== 0 ? 'trusted.' : (flags & FLAG.secure) !== 0 ? 'security.' : 'user.'
    const bytes = await value()
    const whole = nameOfBytes(Uint8Array.from([...Buffer.from(prefix), ...name]))
    const acl = ACL_NAMES[whole.text]
    if (acl !== undefined)
      xattrs.push({ name: { text: acl }, value: aclValue(bytes, `inode ${inode.ino}, access list`) })
    xattrs.push({ name: whole, value: bytes })
  }
  return xattrs
}

async function* rawAttributes(
  xfs: Xfs,
  inode: Inode,
  fork: Fork,
  options: AbortOptions,
): AsyncGenerator<RawAttribute, void, undefined> {
  const where = `inode ${inode.ino}, attributes`
  if (fork.format === FORMAT.local) {
    yield* shortAttributes(new Fields(fork.bytes, where, 'big'))
    return
  }
  if (fork.format === FORMAT.extents && fork.extents === 0) return
  const { blockBytes, version } = xfs.sb
  const content = forkContent(xfs, fork, 2 ** 32 * blockBytes, where)
  const read = async (block: number): Promise<Fields> => {
    const bytes = new Uint8Array(blockBytes)
    await content.read(block * blockBytes, bytes, options)
    const fields = new Fields(bytes, `${where}, block ${block}`, 'big')
    if (version === 5 && !isSumRight(fields, CRC_OFFSET)) xfs.warnings.add(fields.where, 'its checksum is wrong')
    return fields
  }
  let leaf = await firstLeaf(xfs, read)
  for (let count = 1; ; count++) {
    yield* leafAttributes(xfs, fork, leaf, options)
    const next = leaf.u32(0)
    if (next === 0) return
    if (count >= MAX_LEAVES) throw overLimit(where, `${MAX_LEAVES} blocks`, 'a longer chain, or a loop')
    leaf = await read(next)
  }
}

/** Down the left side of the tree. */
const firstLeaf = async ({ sb }: Xfs, read: (block: number) => Promise<Fields>): Promise<Fields> => {
  let block = await read(0)
  for (let level = 0; block.u16(8) === NODE[sb.version].magic; level++) {
    if (level >= MAX_LEVELS) throw corrupt(block.where, `at most ${MAX_LEVELS} levels`, 'more')
    block = await read(block.u32(NODE[sb.version].headerBytes + 4))
  }
  return block
}

function* shortAttributes(fields: Fields): Generator<RawAttribute, void, undefined> {
  let at = 4
  for (let left = fields.u8(2); left > 0; left--) {
    const nameBytes = fields.u8(at)
    const valueBytes = fields.u8(at + 1)
    const value = fields.slice(at + 3 + nameBytes, valueBytes)
    yield { flags: fields.u8(at + 2), name: fields.slice(at + 3, nameBytes), value: () => value.slice() }
    at += 3 + nameBytes + valueBytes
  }
}

function* leafAttributes(
  xfs: Xfs,
  fork: Fork,
  leaf: Fields,
  options: AbortOptions,
): Generator<RawAttribute, void, undefined> {
  const { magic, infoBytes, headerBytes } = LEAF[xfs.sb.version]
  if (leaf.u16(8) !== magic) throw corrupt(leaf.where, `magic ${magic}`, leaf.u16(8))
  const count = leaf.u16(infoBytes)
  for (let index = 0; index < count; index++) {
    const entry = headerBytes + index * 8
    const at = leaf.u16(entry + 4)
    const flags = leaf.u8(entry + 6)
    if ((flags & FLAG.local) !== 0) {
      const nameBytes = leaf.u8(at + 2)
      const value = leaf.slice(at + 3 + nameBytes, leaf.u16(at))
      yield { flags, name: leaf.slice(at + 3, nameBytes), value: () => value.slice() }
    } else {
      const remote = { block: leaf.u32(at), sizeBytes: leaf.u32(at + 4), where: leaf.where }
      yield {
        flags,
        name: leaf.slice(at + 9, leaf.u8(at + 8)),
        value: async () => await remoteValue(xfs, fork, remote, options),
      }
    }
  }
}

const remoteValue = async (xfs: Xfs, fork: Fork, remote: RemoteValue, options: AbortOptions): Promise<Bytes> => {
  if (remote.sizeBytes > MAX_VALUE_BYTES)
    throw overLimit(remote.where, `a value of ${MAX_VALUE_BYTES} bytes`, remote.sizeBytes)
  return await readRemoteValue(xfs, fork, remote, options)
}

/** Access lists are attributes of the root namespace; Linux shows them in its own form too. */
const ACL_NAMES: Readonly<Record<string, string>> = {
  'trusted.SGI_ACL_FILE': 'system.posix_acl_access',
  'trusted.SGI_ACL_DEFAULT': 'system.posix_acl_default',
}
const ACL_ENTRY_BYTES = 12
const ACL_WITH_ID = [0x02, 0x08]

const aclValue = (bytes: Bytes, where: string): Bytes => {
  const fields = new Fields(bytes, where, 'big')
  const count = fields.u32(0)
  if (4 + count * ACL_ENTRY_BYTES > bytes.length) throw corrupt(where, `entries inside ${bytes.length} bytes`, count)
  const value = new DataView(new ArrayBuffer(4 + count * 8))
  value.setUint32(0, 2, true)
  for (let index = 0; index < count; index++) {
    const at = 4 + index * ACL_ENTRY_BYTES
    const tag = fields.u32(at)
    value.setUint16(4 + index * 8, tag, true)
    value.setUint16(6 + index * 8, fields.u16(at + 8), true)
    value.setUint32(8 + index * 8, ACL_WITH_ID.includes(tag) ? fields.u32(at + 4) : 0xffffffff, true)
  }
  return new Uint8Array(value.buffer)
}
