/**
 * Directories. Hash trees keep their index in blocks that look like one empty entry, so reading all blocks in
 * order gives every name, with no need of the hashes.
 *
 * @see Linux Documentation/filesystems/ext4/directory.rst
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfBytes } from '../../format/names.ts'
import type { FileNode, FileType } from '../../tree.ts'
import { blockMapOf } from './block-map.ts'
import { inlineContent } from './content.ts'
import type { Ext } from './ext.ts'
import { FLAG } from './inode.ts'
import type { Inode } from './inode.ts'
import { INCOMPAT } from './superblock.ts'

const HEADER_BYTES = 8
const TYPES: readonly FileType[] = ['unknown', 'file', 'dir', 'chr', 'blk', 'fifo', 'socket', 'symlink']

/** The fake entry at the end of a block that carries its checksum. */
const TAIL_BYTES = 12
const TAIL_TYPE = 0xde

/** An inline directory begins with its parent's inode number. */
const INLINE_PARENT_BYTES = 4
const INLINE_FIRST_BYTES = 60

export interface DirectoryEntry {
  readonly name: ReturnType<typeof nameOfBytes>
  readonly type: FileType
  readonly node: FileNode
}

export async function* listDirectory(
  ext: Ext,
  inode: Inode,
  options: AbortOptions,
): AsyncGenerator<DirectoryEntry, void, undefined> {
  const where = `directory ${inode.ino}`
  if ((inode.flags & FLAG.inlineData) !== 0) {
    const bytes = inlineContent(inode)
    // Two parts, and no entry goes over from one to the other.
    yield* parseBlock(ext, new Fields(bytes.subarray(INLINE_PARENT_BYTES, INLINE_FIRST_BYTES), `${where}, inline`))
    yield* parseBlock(ext, new Fields(bytes.subarray(INLINE_FIRST_BYTES), `${where}, inline rest`))
    return
  }
  for await (const [logical, physical] of directoryBlocks(ext, inode, options)) {
    const block = await readBlock(ext, physical, `${where}, block ${logical}`, options)
    if (block === undefined) continue
    if (!isIndex(inode, logical, block)) checkBlock(ext, inode, block)
    yield* parseBlock(ext, block)
  }
}

/** Logical and physical numbers of a directory's blocks; holes are damage, and skipped however long they are. */
async function* directoryBlocks(
  ext: Ext,
  inode: Inode,
  options: AbortOptions,
): AsyncGenerator<readonly [logical: number, physical: number], void, undefined> {
  const where = `directory ${inode.ino}`
  const map = blockMapOf(ext, inode)
  const end = Math.ceil(inode.stat.sizeBytes / ext.sb.blockBytes)
  let count = 0
  for (let logical = 0; logical < end;) {
    const run = await map(logical, options)
    const blocks = Math.min(run.blocks, end - logical)
    count += run.kind === 'data' ? blocks : 0
    if (count > ext.sb.blocks) throw corrupt(where, `at most ${ext.sb.blocks} blocks`, count)
    if (run.kind !== 'data') ext.warnings.add(where, `blocks ${logical} to ${logical + blocks - 1} are missing`)
    else for (let i = 0; i < blocks; i++) yield [logical + i, run.physical + i]
    logical += blocks
  }
}

const readBlock = async (
  ext: Ext,
  physical: number,
  where: string,
  options: AbortOptions,
): Promise<Fields | undefined> => {
  options.signal?.throwIfAborted()
  const { blockBytes } = ext.sb
  try {
    return new Fields(await ext.disk.bytes(physical * blockBytes, blockBytes, where, options), where)
  } catch (error) {
    options.signal?.throwIfAborted()
    ext.warnings.addError(where, error)
    return undefined
  }
}

/** Blocks of a hash tree's index keep their checksum elsewhere, and may have a stale one where entries have theirs. */
const isIndex = ({ flags }: Inode, logical: number, block: Fields): boolean =>
  (flags & FLAG.hashTree) !== 0 &&
  (logical === 0 || (block.u32(0) === 0 && entryLength(block.u16(4), block.length) === block.length))

const checkBlock = ({ warnings }: Ext, { checksumSeed }: Inode, block: Fields): void => {
  if (checksumSeed === undefined) return
  const tail = block.length - TAIL_BYTES
  const isTail = block.u32(tail) === 0 && block.u16(tail + 4) === TAIL_BYTES && block.u16(tail + 6) === TAIL_TYPE << 8
  if (isTail && crc32cRaw(checksumSeed, block.slice(0, tail)) !== block.u32(tail + 8))
    warnings.add(block.where, 'its checksum is wrong')
}

function* parseBlock(ext: Ext, block: Fields): Generator<DirectoryEntry, void, undefined> {
  const hasTypes = (ext.sb.incompat & INCOMPAT.filetype) !== 0
  for (let at = 0; at + HEADER_BYTES <= block.length;) {
    const ino = block.u32(at)
    const entryBytes = entryLength(block.u16(at + 4), block.length)
    const nameBytes = hasTypes ? block.u8(at + 6) : block.u16(at + 6)
    const isSound =
      entryBytes >= HEADER_BYTES &&
      entryBytes % 4 === 0 &&
      at + entryBytes <= block.length &&
      (ino === 0 || HEADER_BYTES + nameBytes <= entryBytes)
    if (!isSound) {
      ext.warnings.add(block.where, `the entry at ${at} is damaged: the rest of the block is not shown`)
      return
    }
    const name = block.slice(at + HEADER_BYTES, ino === 0 ? 0 : nameBytes)
    if (ino !== 0 && isNameAllowed(ext, block, at, name)) {
      yield {
        name: nameOfBytes(name),
        type: hasTypes ? (TYPES[block.u8(at + 7)] ?? 'unknown') : 'unknown',
        node: { ino },
      }
    }
    at += entryBytes
  }
}

/** Blocks of 64 KiB need a length that doesn't fit: two values stand for it. */
const entryLength = (stored: number, blockBytes: number): number =>
  blockBytes === 65_536 && (stored === 0 || stored === 65_535) ? 65_536 : stored

const isNameAllowed = (ext: Ext, block: Fields, at: number, name: Bytes): boolean => {
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return false
  if (name.length > 0 && !name.includes(0x2f) && !name.includes(0)) return true
  ext.warnings.add(block.where, `the entry at ${at} has an impossible name, and is not shown`)
  return false
}
