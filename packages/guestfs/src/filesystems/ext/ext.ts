/** What the parts of this reader share. @module */
import type { AbortOptions } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import type { WarningLog } from '../../warnings.ts'
import type { Group } from './groups.ts'
import type { Inode } from './inode.ts'
import { readInode } from './inode.ts'
import type { Superblock } from './superblock.ts'

export interface Ext {
  readonly sb: Superblock
  /** The volume with its journal replayed. */
  readonly disk: CachedDisk
  readonly warnings: WarningLog
  readonly groups: Map<number, Group>
  readonly inodes: Map<number, Inode>
}

/** Inodes kept parsed: those of the files and directories in use at the moment. */
const MAX_KEPT = 64

export const extOf = (sb: Superblock, disk: CachedDisk, warnings: WarningLog): Ext => ({
  sb,
  disk,
  warnings,
  groups: new Map(),
  inodes: new Map(),
})

/** The inode, parsed once while it is in use. */
export const inodeOf = async (ext: Ext, ino: number, options: AbortOptions): Promise<Inode> => {
  options.signal?.throwIfAborted()
  const kept = ext.inodes.get(ino)
  if (kept !== undefined) return kept
  const inode = await readInode(ext, ino, options)
  if (ext.inodes.size >= MAX_KEPT) ext.inodes.delete(ext.inodes.keys().next().value as number)
  ext.inodes.set(ino, inode)
  return inode
}
