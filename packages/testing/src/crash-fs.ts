/** A file system in memory that records every change and can lose power after any of them. @module */
import type { FileStat, FileSystemPort, FolderEntry, OpenFile } from '@granary/dedup-store'
import { applyOperation, emptyState, nodeAt, readContent, splitPath, stateAfterCut } from './crash-fs-state.ts'
import type { CrashOperation, FileNode, FileSystemState, FolderNode, Node } from './crash-fs-state.ts'

/** The file system as one process sees it. */
export interface CrashProcess extends FileSystemPort {
  /** Releases its locks, as the end of the process would; the caller sees to it that it makes no calls any more. */
  kill(): void
}

export interface CrashFileSystem extends FileSystemPort {
  /** Every change so far, in order. */
  readonly operations: readonly CrashOperation[]
  /** The same files, with locks that can be released by killing their holder. */
  process(): CrashProcess
  /**
   * What is there after a power cut once the first `operations` changes were made: one of the legal outcomes, the same for the
   * same seed (see `stateAfterCut`). Ascending calls are cheap. The result is independent of this file system and records anew.
   */
  crashAt(operations: number, seed: number): CrashFileSystem
}

export interface CrashFileSystemOptions {
  /** Called before each change; what it throws the caller sees, and nothing is changed. */
  readonly before?: (operation: CrashOperation) => void
}

/** An empty file system with the folder `/`. */
export const crashFileSystem = (options: CrashFileSystemOptions = {}): CrashFileSystem => createOn(emptyState, options)

/** @param makeInitial gives the state to begin with, a fresh copy each time */
const createOn = (makeInitial: () => FileSystemState, { before }: CrashFileSystemOptions): CrashFileSystem => {
  const state = makeInitial()
  const operations: CrashOperation[] = []
  const locks: Locks = new Map()
  let replay: { readonly state: FileSystemState; at: number } | undefined

  const change = (operation: CrashOperation): void => {
    before?.(operation)
    applyOperation(state, operation, operations.length)
    operations.push(operation)
  }
  const stateAt = (count: number): FileSystemState => {
    if (replay === undefined || replay.at > count) replay = { state: makeInitial(), at: 0 }
    for (; replay.at < count; replay.at++)
      applyOperation(replay.state, operations[replay.at] as CrashOperation, replay.at)
    return replay.state
  }
  const files = createFiles(state, change)
  return {
    ...files,
    ...createLocks(state, files, locks, undefined),
    operations,
    crashAt: (count, seed) => {
      if (!Number.isInteger(count) || count < 0 || count > operations.length)
        throw new RangeError(`there were ${operations.length} operations, not ${count}`)
      return createOn(() => stateAfterCut(stateAt(count), count, seed), {})
    },
    process: () => createProcess(state, files, locks),
  }
}

type Locks = Map<Node, object | undefined>

type Files = Omit<FileSystemPort, 'lock' | 'isLocked'>

const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: '${path}'`), { code, path })

const createFiles = (state: FileSystemState, change: (operation: CrashOperation) => void): Files => {
  let files = Math.max(0, ...state.files.keys())
  const existing = (path: string): Node => {
    const node = nodeAt(state, path)
    if (node === undefined) throw failure('ENOENT', path)
    return node
  }
  const existingFile = (path: string, otherwise: string): FileNode => {
    const node = existing(path)
    if (node.kind !== 'file') throw failure(otherwise, path)
    return node
  }
  const existingFolder = (path: string): FolderNode => {
    const node = existing(path)
    if (node.kind !== 'folder') throw failure('ENOTDIR', path)
    return node
  }
  const free = (path: string): void => {
    existingFolder(splitPath(path).folder)
    if (nodeAt(state, path) !== undefined) throw failure('EEXIST', path)
  }
  return {
    create: async path => {
      free(path)
      change({ kind: 'create', path, file: ++files })
      return openFile(state.files.get(files) as FileNode, change)
    },
    open: async path => {
      const node = existing(path)
      return node.kind === 'file' ? openFile(node, change) : openFolder(node, path)
    },
    rename: async (path, target) => {
      existingFile(path, 'EPERM')
      if (splitPath(path).folder !== splitPath(target).folder) throw failure('EXDEV', target)
      if (nodeAt(state, target)?.kind === 'folder') throw failure('EISDIR', target)
      change({ kind: 'rename', path, target })
    },
    link: async (path, target) => {
      existingFile(path, 'EPERM')
      free(target)
      change({ kind: 'link', path, target })
    },
    unlink: async path => {
      existingFile(path, 'EISDIR')
      change({ kind: 'unlink', path })
    },
    createFolder: async path => {
      free(path)
      change({ kind: 'createFolder', path })
    },
    syncFolder: async path => {
      existingFolder(path)
      change({ kind: 'syncFolder', path })
    },
    readFolder: async path => [...existingFolder(path).names].map(([name, { kind }]): FolderEntry => ({ name, kind })),
    stat: async path => statOf(existing(path), path),
  }
}

const statOf = (node: Node, path: string): FileStat => ({
  kind: node.kind,
  sizeBytes: node.kind === 'file' ? node.sizeBytes : 0,
  identity: node.kind === 'file' ? `${node.file}` : path,
})

const openFile = (node: FileNode, change: (operation: CrashOperation) => void): OpenFile => ({
  write: async (bytes, offset) => {
    change({ kind: 'write', file: node.file, offset, bytes: new Uint8Array(bytes) })
    return bytes.length
  },
  read: async (target, offset) => {
    const length = Math.max(0, Math.min(target.length, node.sizeBytes - offset))
    readContent(node, target.subarray(0, length), offset)
    return length
  },
  stat: async () => statOf(node, ''),
  sync: async () => change({ kind: 'sync', file: node.file }),
  close: async () => undefined,
})

const openFolder = (node: FolderNode, path: string): OpenFile => {
  const refuse = async (): Promise<never> => await Promise.reject(failure('EISDIR', path))
  return {
    write: refuse,
    read: refuse,
    stat: async () => statOf(node, path),
    sync: refuse,
    close: async () => undefined,
  }
}

const createLocks = (
  state: FileSystemState,
  files: Files,
  locks: Locks,
  holder: object | undefined,
): Pick<FileSystemPort, 'lock' | 'isLocked'> => ({
  lock: async path => {
    if (nodeAt(state, path) === undefined) await (await files.create(path)).close()
    const node = nodeAt(state, path) as Node
    if (locks.has(node)) throw failure('EAGAIN', path)
    locks.set(node, holder)
    return {
      [Symbol.asyncDispose]: async () => {
        if (locks.delete(node) && nodeAt(state, path) === node) await files.unlink(path)
      },
    }
  },
  isLocked: async path => {
    const node = nodeAt(state, path)
    return node?.kind === 'file' ? locks.has(node) : undefined
  },
})

const createProcess = (state: FileSystemState, files: Files, locks: Locks): CrashProcess => {
  const holder = {}
  return {
    ...files,
    ...createLocks(state, files, locks, holder),
    kill: () => {
      for (const [node, by] of locks) if (by === holder) locks.delete(node)
    },
  }
}
