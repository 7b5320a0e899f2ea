/**
 * The contract of every file system: a tree of files that is only read.
 *
 * A tree hands out nodes; a node names a file in this tree and nowhere else. Everything a file system keeps is
 * reached through five questions about a node: what is in it (`list`), what is known of it (`stat`), its content
 * (`open`, which gives a disk: a file can be read at random, and its holes are the disk's extents), its link target
 * and its extended attributes. Lists are streams, so that a directory of a million entries needs no memory.
 *
 * What can't be read is an error of that one file, with the place or the reason; never zeros, never an empty file.
 * `GRANARY_CORRUPT` means damage, `GRANARY_UNSUPPORTED` content that is sound but not readable here (encrypted, on
 * another device), `GRANARY_LIMIT` more than this reads. What was found odd without ending the work is in `warnings`.
 *
 * Every implementation passes `fileTreeContract`.
 *
 * @module
 */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import type { Name } from './format/names.ts'
import type { Warning } from './warnings.ts'

/** `unknown` stands only in entries of directories that don't say; `stat` knows. */
export type FileType = 'file' | 'dir' | 'symlink' | 'chr' | 'blk' | 'fifo' | 'socket' | 'unknown'

/** A file of one tree. Implementations keep more in it than is said here; make no nodes yourself. */
export interface FileNode {
  /** Inode number, record number, or what stands for it. Unique within a subvolume, but for hard links. */
  readonly ino: number
  /** btrfs: the subvolume's id. */
  readonly subvolume?: number
  /** In the joined tree of a guest: the volume it is on. */
  readonly volume?: string
  /** btrfs: an empty directory where the original of a snapshot has another subvolume. */
  readonly isPlaceholder?: true
}

export interface Entry {
  readonly name: Name
  readonly type: FileType
  readonly node: FileNode
}

/** Times are nanoseconds since 1970-01-01 UTC; undefined where the file system keeps none. */
export interface Stat {
  readonly type: Exclude<FileType, 'unknown'>
  readonly ino: number
  readonly subvolume?: number
  /** In the joined tree of a guest: the volume it is on. */
  readonly volume?: string
  /** Bytes of content; of a symbolic link, of its target; of a directory, as the file system says. */
  readonly sizeBytes: number
  /** What the file occupies, bytes, where the file system says so. */
  readonly allocatedBytes?: number
  readonly nlink: number
  /** Permission bits, 0 to 07777. Undefined where the file system has none. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly rdev?: { readonly major: number; readonly minor: number }
  readonly mtime?: bigint
  readonly ctime?: bigint
  readonly atime?: bigint
  /** Time of creation. */
  readonly btime?: bigint
  /** The times are local times of a zone that isn't known, written down as if they were UTC. */
  readonly isLocalTime?: true
  /** Content, and in a directory names, are ciphertext: `open` and `list` refuse. */
  readonly isEncrypted?: true
  /** btrfs: the top of a read-only snapshot, which a walk enters only when asked to. */
  readonly isSnapshot?: true
  /** The attribute bits of DOS and Windows. */
  readonly dosAttributes?: number
}

export interface Xattr {
  /** With its namespace, as in `user.comment` or `system.posix_acl_access`. */
  readonly name: Name
  /** As the kernel's listing would give it. */
  readonly value: Bytes
}

/** A named stream beside the content of an NTFS file or directory. */
export interface StreamInfo {
  readonly name: Name
  readonly sizeBytes: number
}

/** A file met on a walk, or the reason why one can't be told of. The path begins with `/`. */
export type WalkItem =
  | { readonly kind: 'entry'; readonly path: Name; readonly node: FileNode; readonly stat: Stat }
  | { readonly kind: 'error'; readonly path: Name; readonly error: unknown }

export interface WalkOptions extends AbortOptions {
  /** Enter read-only snapshots too. @default false */
  readonly snapshots?: boolean
  /** Where to begin; it is the first item, and paths go on from it. @default the root, whose path is `/` */
  readonly from?: { readonly node: FileNode; readonly path: Name }
}

export interface FileTree extends AsyncDisposable {
  /** As in `ext4` or `vfat`. */
  readonly fileSystem: string
  readonly root: FileNode
  /** All findings so far; the list grows while the tree is read, up to a thousand and a count of the others. */
  readonly warnings: readonly Warning[]
  /**
   * Entries in the order of the directory, without `.` and `..`.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the node is no directory
   */
  list(dir: FileNode, options?: AbortOptions): AsyncIterable<Entry>
  /**
   * The node at a path; links on the way are not followed. Text, or bytes for names that are no UTF-8.
   *
   * @throws GranaryError `GRANARY_NOT_FOUND`
   */
  lookup(path: string | Bytes, options?: LookupOptions): Promise<FileNode>
  /** The node of that name in a directory, by the rules of the file system; undefined when there is none. */
  find(dir: FileNode, name: Name, options?: AbortOptions): Promise<FileNode | undefined>
  stat(node: FileNode, options?: AbortOptions): Promise<Stat>
  /**
   * The content of a regular file as a disk. Its extents are `data` where bytes are kept, `zero` where space is
   * only reserved and `hole` elsewhere. It needs no closing, and may be read while the tree is open.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the node is no regular file, `GRANARY_UNSUPPORTED` when it
   * is encrypted, not here, or kept in a way this doesn't read
   */
  open(file: FileNode, options?: OpenFileOptions): Promise<DiskReader>
  /** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the node is no symbolic link */
  readlink(link: FileNode, options?: AbortOptions): Promise<Name>
  xattrs(node: FileNode, options?: AbortOptions): Promise<readonly Xattr[]>
  /** Named streams, where the file system has such. */
  streams(node: FileNode, options?: AbortOptions): Promise<readonly StreamInfo[]>
  /** btrfs: the top and all subvolumes; of other file systems none. */
  subvolumes(options?: AbortOptions): Promise<readonly SubvolumeInfo[]>
  /**
   * Every file below, each directory before what is in it, in about the order in which they lie on the disk.
   * A directory that was met before (a loop, a second name) is told of and not entered again.
   */
  walk(options?: WalkOptions): AsyncIterable<WalkItem>
}

export interface LookupOptions extends AbortOptions {
  /** The directory that the path goes on from. @default the root */
  readonly from?: FileNode
}

export interface SubvolumeInfo {
  readonly id: number
  /** From the top of the file system. */
  readonly path: Name
  readonly node: FileNode
  /** It is what is mounted when nobody chooses. */
  readonly isDefault: boolean
  readonly isReadOnly?: true
  /** A read-only snapshot. */
  readonly isSnapshot?: true
}

export interface OpenFileOptions extends AbortOptions {
  /** A named stream instead of the content; directories can have them too. */
  readonly stream?: string
}

/**
 * What a file system must bring; `treeOf` makes the tree of it. Nodes are its own kind. Arguments are checked by
 * then: `content` only gets files, `list` only directories that aren't encrypted.
 */
export interface FileSystem<Node extends FileNode> {
  readonly name: string
  readonly root: Node
  list(dir: Node, options: AbortOptions): AsyncIterable<Entry & { readonly node: Node }>
  stat(node: Node, options: AbortOptions): Promise<Stat>
  content(file: Node, stat: Stat, options: OpenFileOptions): Promise<DiskReader>
  readlink?(link: Node, options: AbortOptions): Promise<Name>
  xattrs?(node: Node, options: AbortOptions): Promise<readonly Xattr[]>
  streams?(node: Node, options: AbortOptions): Promise<readonly StreamInfo[]>
  subvolumes?(options: AbortOptions): Promise<readonly SubvolumeInfo[]>
  /** The entry of that name, where the file system finds it faster, or by other rules, than by listing. */
  find?(dir: Node, name: Name, options: AbortOptions): Promise<Node | undefined>
  dispose?(): Promise<void>
}
