/**
 * Directories: in the inode while they are short, then in blocks of entries. What lies beyond 32 GiB in their logical
 * space is index and free lists, which a listing doesn't need.
 *
 * @see XFS Algorithms & Data Structures, chapter "Directories"
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfBytes } from '../../format/names.ts'
import type { Entry, FileType } from '../../tree.ts'
import { blockMapOf } from './block-map.ts'
import { mappedBlocks } from './content.ts'
import { FORMAT } from './inode.ts'
import type { Inode, Xfs } from './inode.ts'
import { isSumRight } from './superblock.ts'

const LEAF_OFFSET = 32 * 2 ** 30
const TYPES: readonly FileType[] = ['unknown', 'file', 'dir', 'chr', 'blk', 'fifo', 'socket', 'symlink']
const BLOCK_MAGICS = { 4: { single: 'XD2B', data: 'XD2D' }, 5: { single: 'XDB3', data: 'XDD3' } } as const
const HEADER_BYTES = { 4: 16, 5: 64 } as const
const CRC_OFFSET = 4
const FREE_TAG = 0xffff

export async function* listDirectory(
  xfs: Xfs,
  inode: Inode,
  options: AbortOptions,
): AsyncGenerator<Entry, void, undefined> {
  if (inode.data.format === FORMAT.local) {
    yield* shortEntries(xfs, inode)
    return
  }
  const { blockBytes, blocks, directoryBlockBytes } = xfs.sb
  const where = `directory ${inode.ino}`
  const end = Math.min(inode.stat.sizeBytes, LEAF_OFFSET)
  const map = blockMapOf(xfs, inode.data, where)
  const content = mappedBlocks(xfs, map, LEAF_OFFSET, where)
  let count = 0
  for (let offset = 0; offset < end;) {
    options.signal?.throwIfAborted()
    const run = await map(offset / blockBytes, options)
    if (run.kind === 'hole') {
      // Blocks that were emptied are given back.
      const next = offset + run.blocks * blockBytes
      offset = Math.ceil(next / directoryBlockBytes) * directoryBlockBytes
      continue
    }
    count += directoryBlockBytes / blockBytes
    if (count > blocks) throw corrupt(where, `at most ${blocks} blocks`, count)
    const block = new Uint8Array(directoryBlockBytes)
    const at = `${where}, block at ${offset}`
    try {
      await content.read(offset, block, options)
      yield* blockEntries(xfs, new Fields(block, at, 'big'))
    } catch (error) {
      options.signal?.throwIfAborted()
      xfs.warnings.addError(at, error)
    }
    offset += directoryBlockBytes
  }
}

function* shortEntries(xfs: Xfs, inode: Inode): Generator<Entry, void, undefined> {
  const fields = new Fields(inode.data.bytes, `directory ${inode.ino}, in the inode`, 'big')
  const inoBytes = fields.u8(1) === 0 ? 4 : 8
  let at = 2 + inoBytes
  for (let left = fields.u8(0); left > 0; left--) {
    const nameBytes = fields.u8(at)
    const name = fields.slice(at + 3, nameBytes)
    at += 3 + nameBytes
    const type = xfs.sb.hasFileTypes ? (TYPES[fields.u8(at++)] ?? 'unknown') : 'unknown'
    const ino = inoBytes === 4 ? fields.u32(at) : fields.u64(at)
    at += inoBytes
    if (isNameAllowed(xfs, fields.where, name)) yield { name: nameOfBytes(name), type, node: { ino } }
  }
}

function* blockEntries(xfs: Xfs, block: Fields): Generator<Entry, void, undefined> {
  const { version, hasFileTypes } = xfs.sb
  const magic = block.ascii(0, 4)
  const { single, data } = BLOCK_MAGICS[version]
  if (magic !== single && magic !== data) throw corrupt(block.where, `magic ${single} or ${data}`, magic)
  if (version === 5 && !isSumRight(block, CRC_OFFSET)) xfs.warnings.add(block.where, 'its checksum is wrong')
  let end = block.length
  if (magic === single) end -= 8 + block.u32(end - 8) * 8 // The index stands in the block's tail.
  for (let at = HEADER_BYTES[version]; at < end;) {
    if (block.u16(at) === FREE_TAG) {
      const free = block.u16(at + 2)
      if (free < 8 || free % 8 !== 0) throw corrupt(block.where, 'a length of free space', free)
      at += free
      continue
    }
    const nameBytes = block.u8(at + 8)
    const name = block.slice(at + 9, nameBytes)
    const type = hasFileTypes ? (TYPES[block.u8(at + 9 + nameBytes)] ?? 'unknown') : 'unknown'
    const ino = block.big64(at)
    at += Math.ceil((9 + nameBytes + (hasFileTypes ? 1 : 0) + 2) / 8) * 8
    if (ino > BigInt(Number.MAX_SAFE_INTEGER)) xfs.warnings.add(block.where, `inode ${ino} can't exist`)
    else if (isNameAllowed(xfs, block.where, name)) yield { name: nameOfBytes(name), type, node: { ino: Number(ino) } }
  }
}

const isNameAllowed = (xfs: Xfs, where: string, name: Bytes): boolean => {
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return false
  if (name.length > 0 && !name.includes(0x2f) && !name.includes(0)) return true
  xfs.warnings.add(where, 'an entry with an impossible name is not shown')
  return false
}
