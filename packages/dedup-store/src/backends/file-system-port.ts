/**
 * The calls of a POSIX file system that the file backend needs, and what it may expect of each: the seam at which tests put a
 * simulated one that loses power. Failures are the system's own errors, with `code` ('ENOENT', 'EEXIST', …).
 *
 * @module
 */
import type { Bytes } from '@granary/core'

export type FileKind = 'file' | 'folder' | 'other'

export interface FileStat {
  readonly kind: FileKind
  readonly sizeBytes: number
  /** The same for two names exactly when they are links to one file (device and inode). */
  readonly identity: string
}

export interface FolderEntry {
  readonly name: string
  readonly kind: FileKind
}

export interface OpenFile {
  /** Writes bytes at an offset. @returns how many were written: at least one, perhaps not all */
  write(bytes: Bytes, offset: number): Promise<number>
  /** Fills the beginning of `target` from an offset. @returns how many bytes were read; 0 at the end of the file */
  read(target: Bytes, offset: number): Promise<number>
  stat(): Promise<FileStat>
  /** Content and size survive a power cut once this resolves; the file's name does not by this. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface FileSystemPort {
  /** A new file for writing, mode 0600; EEXIST when the name is taken. */
  create(path: string): Promise<OpenFile>
  /** An existing file for reading. */
  open(path: string): Promise<OpenFile>
  /** Atomic; replaces `target`. */
  rename(source: string, target: string): Promise<void>
  /** A second name for a file; atomic, EEXIST when `target` is taken. */
  link(source: string, target: string): Promise<void>
  unlink(path: string): Promise<void>
  /** A new folder in an existing one, mode 0700; EEXIST when the name is taken. */
  createFolder(path: string): Promise<void>
  /** The names in a folder, as changed before the call, survive a power cut once this resolves. */
  syncFolder(path: string): Promise<void>
  /** In no order; without `.` and `..`. Symbolic links are shown as what they lead to. */
  readFolder(path: string): Promise<readonly FolderEntry[]>
  /** Follows symbolic links. */
  stat(path: string): Promise<FileStat>
  /**
   * Creates the file when missing and holds it exclusively until disposed (which removes the file) or the process ends, however it ends.
   * EAGAIN when another holds it; undefined where this platform has no such locks.
   */
  lock(path: string): Promise<AsyncDisposable | undefined>
  /** False only when its holder is certainly dead; undefined when there is no such file, or this platform cannot tell. */
  isLocked(path: string): Promise<boolean | undefined>
}
