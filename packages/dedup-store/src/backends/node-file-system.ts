/** The real file system, through node:fs. @module */
import { constants, promises as fs } from 'node:fs'
import type { BigIntStats, Dirent } from 'node:fs'
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { FileKind, FileStat, FileSystemPort, FolderEntry, OpenFile } from './file-system-port.ts'
import { loadFileLocks } from './flock.ts'
import type { FileLocks } from './flock.ts'

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** How often to try again when a lock's file vanishes, or is looked at, while it is taken. */
const LOCK_ATTEMPTS = 100

/** @param locks how to lock files; undefined: where that is not possible. @default flock(2), where it can be called */
export const nodeFileSystem = (locks: Promise<FileLocks | undefined> = loadFileLocks()): FileSystemPort => ({
  create: async path =>
    openFile(await fs.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, FILE_MODE)),
  open: async path => openFile(await fs.open(path, constants.O_RDONLY)),
  rename: fs.rename,
  link: fs.link,
  unlink: fs.unlink,
  createFolder: async path => await fs.mkdir(path, FOLDER_MODE),
  syncFolder: async path => {
    const folder = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  },
  readFolder: async path => {
    const entries = await fs.readdir(path, { withFileTypes: true })
    return await Promise.all(entries.map(async entry => await folderEntry(path, entry)))
  },
  stat: async path => fileStat(await fs.stat(path, { bigint: true })),
  lock: async path => {
    const available = await locks
    return available && (await lockFile(path, available))
  },
  isLocked: async path => {
    const available = await locks
    return available && (await isFileLocked(path, available))
  },
})

const openFile = (file: fs.FileHandle): OpenFile => ({
  write: async (bytes, offset) => (await file.write(bytes, 0, bytes.length, offset)).bytesWritten,
  read: async (target, offset) => (await file.read(target, 0, target.length, offset)).bytesRead,
  stat: async () => fileStat(await file.stat({ bigint: true })),
  sync: async () => await file.sync(),
  close: async () => await file.close(),
})

const fileStat = (stats: BigIntStats): FileStat => ({
  kind: kindOf(stats),
  sizeBytes: Number(stats.size),
  identity: `${stats.dev}:${stats.ino}`,
})

const kindOf = (entry: Pick<Dirent, 'isFile' | 'isDirectory'>): FileKind => {
  if (entry.isFile()) return 'file'
  return entry.isDirectory() ? 'folder' : 'other'
}

const folderEntry = async (folder: string, entry: Dirent): Promise<FolderEntry> => {
  if (!entry.isSymbolicLink()) return { name: entry.name, kind: kindOf(entry) }
  const target = await fs.stat(join(folder, entry.name)).catch(() => undefined)
  return { name: entry.name, kind: target === undefined ? 'other' : kindOf(target) }
}

/**
 * Who takes a lock: the running kernel, and the machine. Where a lock was taken on another machine, its being free says nothing: some
 * network file systems keep flock to one machine. After a restart of the same machine it does.
 */
const readHolder = async (): Promise<{ kernel: string; machine: string }> => {
  const read = async (path: string): Promise<string> => (await fs.readFile(path, 'latin1').catch(() => '')).trim()
  const [kernel, machineId] = await Promise.all([read('/proc/sys/kernel/random/boot_id'), read('/etc/machine-id')])
  // Containers of one image share the machine id; no two machines that share a storage have both in common.
  const machine = machineId === '' ? '' : createHash('sha256').update(`${machineId}\n${hostname()}`).digest('hex')
  return { kernel, machine }
}

const lockFile = async (path: string, locks: FileLocks): Promise<AsyncDisposable> => {
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    const file = await fs.open(path, constants.O_RDWR | constants.O_CREAT, FILE_MODE)
    let isKept = false
    try {
      if (locks.flock(file.fd, 'exclusive') && (await isStillAt(path, file))) {
        await file.truncate()
        await file.write(JSON.stringify(await readHolder()), 0)
        isKept = true
        return { [Symbol.asyncDispose]: once(async () => await releaseFile(path, file)) }
      }
      // Those who only look hold it shared, for an instant; then it is worth another try.
      if (!locks.flock(file.fd, 'shared')) break
    } finally {
      if (!isKept) await file.close()
    }
  }
  throw Object.assign(new Error(`EAGAIN: lock '${path}'`), { code: 'EAGAIN', syscall: 'flock', path })
}

/** Removes the file while the lock is still held, so that nobody takes a lock on a name that is about to go. */
const releaseFile = async (path: string, file: fs.FileHandle): Promise<void> => {
  try {
    await fs.unlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    await file.close()
  }
}

const isStillAt = async (path: string, file: fs.FileHandle): Promise<boolean> => {
  const [named, opened] = await Promise.all([
    fs.stat(path, { bigint: true }).catch(() => undefined),
    file.stat({ bigint: true }),
  ])
  return named !== undefined && named.dev === opened.dev && named.ino === opened.ino
}

const isFileLocked = async (path: string, locks: FileLocks): Promise<boolean | undefined> => {
  const file = await fs.open(path, constants.O_RDONLY).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    if (!locks.flock(file.fd, 'shared')) return true
    locks.flock(file.fd, 'none')
    const [holder, here] = await Promise.all([file.readFile('latin1').then(parseHolder), readHolder()])
    const isOurs = (['kernel', 'machine'] as const).some(part => here[part] !== '' && here[part] === holder?.[part])
    return isOurs ? false : undefined
  } finally {
    await file.close()
  }
}

/** Undefined for a lock that was never taken quite, or is none of ours. */
const parseHolder = (text: string): Record<string, unknown> | undefined => {
  try {
    const holder: unknown = JSON.parse(text)
    return typeof holder === 'object' && holder !== null ? (holder as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

const once = (release: () => Promise<void>): (() => Promise<void>) => {
  let released: Promise<void> | undefined
  return async () => await (released ??= release())
}
