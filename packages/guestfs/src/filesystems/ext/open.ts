/** Opens a file system of the ext family. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import { CachedDisk } from '../../disk/cached-disk.ts'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import type { Piece } from '../../disk/mapped-disk.ts'
import type { FileNode, FileSystem, FileTree } from '../../tree.ts'
import { lastIndex } from '../../last-index.ts'
import { treeOf } from '../../tree-of.ts'
import { WarningLog } from '../../warnings.ts'
import { contentOf } from './content.ts'
import { listDirectory } from './directory.ts'
import { extOf, inodeOf } from './ext.ts'
import type { Ext } from './ext.ts'
import { replayJournal } from './journal.ts'
import type { ReplayedBlock } from './journal.ts'
import { readTarget } from './link.ts'
import { COMPAT, INCOMPAT, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, readSuperblock } from './superblock.ts'
import { xattrsOf } from './xattrs.ts'

const ROOT_INODE = 2
const MAGIC_BYTES = Uint8Array.of(0xc0, 0x3b, 0x39, 0x98)

/** @throws GranaryError `GRANARY_CORRUPT` when superblock or root can't be read, `GRANARY_UNSUPPORTED` for unknown features */
export const openExt = async (disk: DiskReader, options: AbortOptions): Promise<FileTree> => {
  const ext = await replayed(disk, await mount(disk, new WarningLog(), options), options)
  await inodeOf(ext, ROOT_INODE, options)
  const fileSystem: FileSystem<FileNode> = {
    name: ext.sb.fileSystem,
    root: { ino: ROOT_INODE },
    async *list(dir, abort) {
      yield* listDirectory(ext, await inodeOf(ext, dir.ino, abort), abort)
    },
    stat: async (node, abort) => (await inodeOf(ext, node.ino, abort)).stat,
    content: async (file, _stat, abort) => contentOf(ext, await inodeOf(ext, file.ino, abort)),
    readlink: async (link, abort) => await readTarget(ext, await inodeOf(ext, link.ino, abort), abort),
    xattrs: async (node, abort) => await xattrsOf(ext, await inodeOf(ext, node.ino, abort), abort),
    dispose: async () => await ext.disk[Symbol.asyncDispose](),
  }
  return treeOf(fileSystem, ext.warnings)
}

const mount = async (disk: DiskReader, warnings: WarningLog, options: AbortOptions): Promise<Ext> => {
  const cached = new CachedDisk(disk)
  const bytes = await cached.bytes(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES, 'ext superblock', options)
  return extOf(readSuperblock(bytes, disk.sizeBytes, warnings), cached, warnings)
}

/** The same file system as it is after the guest's next start; with a warning when that can't be told. */
const replayed = async (disk: DiskReader, ext: Ext, options: AbortOptions): Promise<Ext> => {
  const { sb, warnings } = ext
  if ((sb.incompat & INCOMPAT.recover) === 0) return ext
  if ((sb.compat & COMPAT.hasJournal) === 0) {
    warnings.add('ext superblock', 'it asks for recovery, but there is no journal')
    return ext
  }
  try {
    const blocks = await replayJournal(ext, options)
    return blocks.size === 0 ? ext : await mount(overlay(disk, blocks, sb.blockBytes), warnings, options)
  } catch (error) {
    options.signal?.throwIfAborted()
    warnings.addError('journal', error)
    warnings.add('journal', 'it could not be replayed: files may be missing, or as they were some seconds before')
    return ext
  }
}

/** The volume, with replayed blocks read from where they stand in the journal. */
const overlay = (disk: DiskReader, blocks: ReadonlyMap<number, ReplayedBlock>, blockBytes: number): DiskReader => {
  const sorted = Float64Array.from(blocks.keys()).sort()
  return mappedDisk({
    sizeBytes: disk.sizeBytes,
    blockBytes: disk.blockBytes,
    where: 'volume with its journal replayed',
    locate(offset): Piece {
      const block = Math.floor(offset / blockBytes)
      const skip = offset - block * blockBytes
      const found = blocks.get(block)
      if (found === undefined) {
        const next = sorted[lastIndex(sorted.length, index => (sorted[index] as number) <= block) + 1] ?? Infinity
        return { kind: 'disk', disk, offset, length: Math.min(next * blockBytes, disk.sizeBytes) - offset }
      }
      if (found.isEscaped && skip < MAGIC_BYTES.length)
        return { kind: 'bytes', bytes: MAGIC_BYTES.subarray(skip), length: MAGIC_BYTES.length - skip }
      return { kind: 'disk', disk, offset: found.offset + skip, length: blockBytes - skip }
    },
  })
}
