/** Opens an XFS file system. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import { CachedDisk } from '../../disk/cached-disk.ts'
import { unsupported } from '../../errors.ts'
import { treeOf } from '../../tree-of.ts'
import type { FileNode, FileSystem, FileTree } from '../../tree.ts'
import { WarningLog } from '../../warnings.ts'
import { xattrsOf } from './attributes.ts'
import { forkContent } from './content.ts'
import { listDirectory } from './directory.ts'
import { FLAG_REALTIME, inodeOf } from './inode.ts'
import type { Inode, Xfs } from './inode.ts'
import { readTarget } from './link.ts'
import { replayLog } from './log-replay.ts'
import { SUPERBLOCK_BYTES, readSuperblock } from './superblock.ts'

/** @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_UNSUPPORTED` */
export const openXfs = async (disk: DiskReader, options: AbortOptions): Promise<FileTree> => {
  const xfs = await replayed(disk, await mount(disk, new WarningLog(), options), options)
  const { rootInode } = xfs.sb
  await inodeOf(xfs, rootInode, options)
  const fileSystem: FileSystem<FileNode> = {
    name: 'xfs',
    root: { ino: rootInode },
    async *list(dir, abort) {
      yield* listDirectory(xfs, await inodeOf(xfs, dir.ino, abort), abort)
    },
    stat: async (node, abort) => (await inodeOf(xfs, node.ino, abort)).stat,
    content: async (file, _stat, abort) => contentOf(xfs, await inodeOf(xfs, file.ino, abort)),
    readlink: async (link, abort) => await readTarget(xfs, await inodeOf(xfs, link.ino, abort), abort),
    xattrs: async (node, abort) => await xattrsOf(xfs, await inodeOf(xfs, node.ino, abort), abort),
    dispose: async () => await xfs.disk[Symbol.asyncDispose](),
  }
  return treeOf(fileSystem, xfs.warnings)
}

const contentOf = (xfs: Xfs, inode: Inode): DiskReader => {
  if ((inode.flags & FLAG_REALTIME) !== 0)
    throw unsupported(`inode ${inode.ino}`, 'its content is on the realtime device')
  return forkContent(xfs, inode.data, inode.stat.sizeBytes, `inode ${inode.ino}`)
}

const mount = async (disk: DiskReader, warnings: WarningLog, options: AbortOptions): Promise<Xfs> => {
  const cached = new CachedDisk(disk)
  const bytes = await cached.bytes(0, 4096, 'XFS superblock', options)
  const sectorBytes = (bytes[102] as number) * 256 + (bytes[103] as number)
  const sector = bytes.subarray(
    0,
    sectorBytes >= SUPERBLOCK_BYTES && sectorBytes <= 4096 ? sectorBytes : SUPERBLOCK_BYTES,
  )
  return { sb: readSuperblock(sector, disk.sizeBytes, warnings), disk: cached, warnings, inodes: new Map() }
}

/** The same file system as it is after the guest's next start; with a warning when that can't be told. */
const replayed = async (disk: DiskReader, xfs: Xfs, options: AbortOptions): Promise<Xfs> => {
  const { warnings } = xfs
  try {
    const overlay = await replayLog(xfs, disk, options)
    return overlay === undefined ? xfs : await mount(overlay, warnings, options)
  } catch (error) {
    options.signal?.throwIfAborted()
    warnings.addError('log', error)
    warnings.add('log', 'it could not be replayed: files may be missing, or as they were some time before')
    return xfs
  }
}
