/**
 * Files in a subvolume: inodes, directories and attributes, all items of its tree.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, sections "INODE_ITEM", "DIR_INDEX", "XATTR_ITEM"
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import type { Fields } from '../../format/fields.ts'
import { nameOfBytes } from '../../format/names.ts'
import type { Name } from '../../format/names.ts'
import { fileTypeOfMode } from '../../format/unix-mode.ts'
import type { Entry, FileNode, FileType, Stat, Xattr } from '../../tree.ts'
import { subvolumeOf } from './btrfs.ts'
import type { Btrfs } from './btrfs.ts'
import { fileContent } from './file-content.ts'
import { ITEM } from './keys.ts'
import { itemAt, itemsOfType } from './tree-reader.ts'

const TYPES: readonly FileType[] = ['unknown', 'file', 'dir', 'chr', 'blk', 'fifo', 'socket', 'symlink']
const TOP_INODE = 256
const PLACEHOLDER_INODE = 2
const ENTRY_HEADER_BYTES = 30
const MAX_TARGET_BYTES = 4096

export interface BtrfsNode extends FileNode {
  readonly subvolume: number
}

export const statOf = async (btrfs: Btrfs, node: BtrfsNode, options: AbortOptions): Promise<Stat> => {
  options.signal?.throwIfAborted()
  const { ino, subvolume } = node
  if (node.isPlaceholder)
    return { type: 'dir', ino, subvolume, sizeBytes: 0, allocatedBytes: 0, nlink: 1, mode: 0o755, uid: 0, gid: 0 }
  const { root, isReadOnly, isSnapshot } = await subvolumeOf(btrfs, subvolume, options)
  const key = { object: BigInt(ino), type: ITEM.inode, offset: 0n }
  const data = await itemAt(btrfs.store, root, key, options)
  const where = `subvolume ${subvolume}, inode ${ino}`
  if (data === undefined) throw corrupt(where, 'an inode', 'none')
  const type = fileTypeOfMode(data.u32(52))
  if (type === undefined) throw corrupt(where, 'a type of file', data.u32(52))
  const { sectorBytes } = btrfs.sb
  return {
    type,
    ino,
    subvolume,
    sizeBytes: data.u64(16),
    allocatedBytes: Math.ceil(data.u64(24) / sectorBytes) * sectorBytes,
    nlink: data.u32(40),
    uid: data.u32(44),
    gid: data.u32(48),
    mode: data.u32(52) & 0o7777,
    atime: timeAt(data, 112),
    ctime: timeAt(data, 124),
    mtime: timeAt(data, 136),
    btime: timeAt(data, 148),
    ...(type === 'chr' || type === 'blk' ? { rdev: deviceOf(data.big64(56)) } : {}),
    ...(ino === TOP_INODE && isReadOnly && isSnapshot ? { isSnapshot: true as const } : {}),
  }
}

const timeAt = (data: Fields, offset: number): bigint =>
  data.bigSigned64(offset) * 1_000_000_000n + BigInt(data.u32(offset + 8))

const deviceOf = (device: bigint): { major: number; minor: number } => ({
  major: Number((device >> 20n) & 0xfffn),
  minor: Number(device & 0xfffffn),
})

export async function* listDirectory(
  btrfs: Btrfs,
  dir: BtrfsNode,
  options: AbortOptions,
): AsyncGenerator<Entry & { readonly node: BtrfsNode }, void, undefined> {
  if (dir.isPlaceholder) return
  const { root } = await subvolumeOf(btrfs, dir.subvolume, options)
  const object = BigInt(dir.ino)
  for await (const { data } of itemsOfType(btrfs.store, root, { object, type: ITEM.directoryIndex }, options)) {
    const bytes = data.slice(ENTRY_HEADER_BYTES, data.u16(27))
    const name = nameOfBytes(bytes)
    if (!isNameAllowed(bytes)) btrfs.store.warnings.add(data.where, 'an entry with an impossible name is not shown')
    else yield { name, type: TYPES[data.u8(29)] ?? 'unknown', node: await nodeOf(btrfs, dir.subvolume, data, options) }
  }
}

const isNameAllowed = (name: Bytes): boolean =>
  name.length > 0 && !name.includes(0x2f) && !name.includes(0) && !/^\.\.?$/.test(Buffer.from(name).toString('latin1'))

/** An entry names an inode, or a subvolume; a snapshot's entries of subvolumes lead nowhere. */
const nodeOf = async (btrfs: Btrfs, subvolume: number, data: Fields, options: AbortOptions): Promise<BtrfsNode> => {
  const object = data.u64(0)
  if (data.u8(8) !== ITEM.root) return { ino: object, subvolume }
  const key = { object: BigInt(object), type: ITEM.rootBackReference, offset: BigInt(subvolume) }
  const isHere = (await itemAt(btrfs.store, btrfs.rootTree, key, options)) !== undefined
  return isHere ? { ino: TOP_INODE, subvolume: object } : { ino: PLACEHOLDER_INODE, subvolume, isPlaceholder: true }
}

export const readTarget = async (btrfs: Btrfs, link: BtrfsNode, options: AbortOptions): Promise<Name> => {
  const { sizeBytes } = await statOf(btrfs, link, options)
  if (sizeBytes === 0 || sizeBytes > MAX_TARGET_BYTES)
    throw corrupt(`link ${link.ino}`, `a target of 1 to ${MAX_TARGET_BYTES} bytes`, sizeBytes)
  const target = new Uint8Array(sizeBytes)
  const { root } = await subvolumeOf(btrfs, link.subvolume, options)
  await fileContent(btrfs, root, link.ino, sizeBytes).read(0, target, options)
  return nameOfBytes(target)
}

/** Several attributes whose names have the same hash share an item. */
export const xattrsOf = async (btrfs: Btrfs, node: BtrfsNode, options: AbortOptions): Promise<Xattr[]> => {
  const xattrs: Xattr[] = []
  if (node.isPlaceholder) return xattrs
  const { root } = await subvolumeOf(btrfs, node.subvolume, options)
  const object = BigInt(node.ino)
  for await (const { data } of itemsOfType(btrfs.store, root, { object, type: ITEM.xattr }, options)) {
    for (let at = 0; at < data.length;) {
      const valueBytes = data.u16(at + 25)
      const nameBytes = data.u16(at + 27)
      const start = at + ENTRY_HEADER_BYTES
      xattrs.push({
        name: nameOfBytes(data.slice(start, nameBytes)),
        value: data.slice(start + nameBytes, valueBytes).slice(),
      })
      at = start + nameBytes + valueBytes
    }
  }
  return xattrs
}
