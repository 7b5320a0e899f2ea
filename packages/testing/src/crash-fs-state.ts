/**
 * What a simulated file system holds, and what a power cut may leave of it.
 *
 * The model is the weakest that POSIX promises: bytes are durable once their file was synced, a name once its folder was synced, neither by
 * the other. Of what was not synced, any part may be there: later without earlier, names without bytes, zeros for bytes. Two things are
 * taken for granted, as every file system in use does: a name refers to its old or its new file, never to neither while it is replaced,
 * and a file keeps what was synced.
 *
 * @module
 */
import type { Bytes } from '@granary/core'
import { seededRandom } from './random-bytes.ts'

/** One change, as recorded. Paths are absolute; `file` numbers the files in the order they were made. */
export type CrashOperation =
  | { readonly kind: 'create'; readonly path: string; readonly file: number }
  | { readonly kind: 'write'; readonly file: number; readonly offset: number; readonly bytes: Bytes }
  | { readonly kind: 'sync'; readonly file: number }
  | { readonly kind: 'rename' | 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'unlink' | 'createFolder' | 'syncFolder'; readonly path: string }

interface Write {
  /** Number of the operation; -1: before the last power cut. */
  readonly at: number
  readonly offset: number
  readonly bytes: Bytes
}

export interface FileNode {
  readonly kind: 'file'
  readonly file: number
  readonly writes: Write[]
  /** How many of the writes are durable. */
  synced: number
  sizeBytes: number
}

export interface FolderNode {
  readonly kind: 'folder'
  readonly names: Map<string, Node>
  readonly durable: Map<string, Node>
  pending: NameChange[]
}

export type Node = FileNode | FolderNode

/** A change of names that is not durable yet. A rename is one change, of which the removal of the old name may be missing. */
interface NameChange {
  readonly at: number
  readonly set?: readonly [name: string, node: Node]
  readonly unset?: string
}

export interface FileSystemState {
  readonly root: FolderNode
  /** By path: folders are never moved or removed. */
  readonly folders: Map<string, FolderNode>
  readonly files: Map<number, FileNode>
}

export const emptyState = (): FileSystemState => {
  const root = newFolder()
  return { root, folders: new Map([['/', root]]), files: new Map() }
}

const newFolder = (): FolderNode => ({ kind: 'folder', names: new Map(), durable: new Map(), pending: [] })

/** Folder and last name of an absolute path. */
export const splitPath = (path: string): { folder: string; name: string } => {
  const at = path.lastIndexOf('/')
  return { folder: at <= 0 ? '/' : path.slice(0, at), name: path.slice(at + 1) }
}

/** The node at a path. */
export const nodeAt = (state: FileSystemState, path: string): Node | undefined => {
  if (path === '/') return state.root
  const { folder, name } = splitPath(path)
  return state.folders.get(folder)?.names.get(name)
}

/** Carries out an operation that is known to be possible. */
export const applyOperation = (state: FileSystemState, operation: CrashOperation, at: number): void => {
  switch (operation.kind) {
    case 'create': {
      const file: FileNode = { kind: 'file', file: operation.file, writes: [], synced: 0, sizeBytes: 0 }
      state.files.set(operation.file, file)
      return setName(state, operation.path, file, at)
    }
    case 'write': {
      const { offset, bytes } = operation
      const file = state.files.get(operation.file) as FileNode
      file.writes.push({ at, offset, bytes })
      file.sizeBytes = Math.max(file.sizeBytes, offset + bytes.length)
      return
    }
    case 'sync': {
      const file = state.files.get(operation.file) as FileNode
      file.synced = file.writes.length
      return
    }
    case 'createFolder': {
      const folder = newFolder()
      state.folders.set(operation.path, folder)
      return setName(state, operation.path, folder, at)
    }
    case 'link':
      return setName(state, operation.target, nodeAt(state, operation.path) as Node, at)
    case 'rename':
      return setName(state, operation.target, nodeAt(state, operation.path) as Node, at, splitPath(operation.path).name)
    case 'unlink': {
      const { folder, name } = splitPath(operation.path)
      return changeNames(state.folders.get(folder) as FolderNode, { at, unset: name })
    }
    case 'syncFolder': {
      const folder = state.folders.get(operation.path) as FolderNode
      for (const change of folder.pending) applyChange(folder.durable, change)
      folder.pending = []
      return
    }
  }
}

const setName = (state: FileSystemState, path: string, node: Node, at: number, unset?: string): void => {
  const { folder, name } = splitPath(path)
  changeNames(state.folders.get(folder) as FolderNode, {
    at,
    set: [name, node],
    ...(unset === undefined ? {} : { unset }),
  })
}

const changeNames = (folder: FolderNode, change: NameChange): void => {
  applyChange(folder.names, change)
  folder.pending.push(change)
}

const applyChange = (names: Map<string, Node>, { set, unset }: NameChange): void => {
  if (unset !== undefined) names.delete(unset)
  if (set !== undefined) names.set(...set)
}

/** Copies `target.length` bytes from an offset; there are that many. */
export const readContent = (file: FileNode, target: Bytes, offset: number): void => {
  target.fill(0)
  for (const write of file.writes) {
    const from = Math.max(offset, write.offset)
    const to = Math.min(offset + target.length, write.offset + write.bytes.length)
    if (from < to) target.set(write.bytes.subarray(from - write.offset, to - write.offset), from - offset)
  }
}

/** Which of the unsynced changes a power cut keeps. */
interface Outcome {
  /** Of a folder's unsynced changes, those that are kept, perhaps without the removal of a renamed file's old name. */
  keepNames(changes: readonly NameChange[]): readonly NameChange[]
  /** What is left of a file's unsynced writes. */
  keepWrites(writes: readonly Write[]): readonly Write[]
}

/**
 * The state after a power cut. Seeds 0 to 3 are the corners: nothing unsynced is left; everything is (as after a kill); all names without
 * their bytes; all names with zeros for bytes. From 4 on: any mixture, some of them in the order of time.
 *
 * @param operations how many were carried out before
 */
export const stateAfterCut = (state: FileSystemState, operations: number, seed: number): FileSystemState => {
  const outcome = CORNERS[seed] ?? mixture(operations, seed)
  const left = emptyState()
  const files = new Map<FileNode, FileNode>()

  const copyFile = (file: FileNode): FileNode => {
    const known = files.get(file)
    if (known !== undefined) return known
    const unsynced = file.writes.slice(file.synced)
    const kept = unsynced.length === 0 ? [] : outcome.keepWrites(unsynced)
    const writes = [...file.writes.slice(0, file.synced), ...kept].map(write => ({ ...write, at: -1 }))
    const sizeBytes = writes.reduce((end, write) => Math.max(end, write.offset + write.bytes.length), 0)
    const copy: FileNode = { kind: 'file', file: file.file, writes, synced: writes.length, sizeBytes }
    files.set(file, copy)
    left.files.set(file.file, copy)
    return copy
  }

  const copyFolder = (folder: FolderNode, path: string, copy: FolderNode): void => {
    const names = new Map(folder.durable)
    if (folder.pending.length > 0) for (const change of outcome.keepNames(folder.pending)) applyChange(names, change)
    for (const [name, node] of names) {
      const copied = node.kind === 'file' ? copyFile(node) : newFolder()
      copy.names.set(name, copied)
      copy.durable.set(name, copied)
      if (node.kind === 'file' || copied.kind === 'file') continue
      const below = path === '/' ? `/${name}` : `${path}/${name}`
      left.folders.set(below, copied)
      copyFolder(node, below, copied)
    }
  }
  copyFolder(state.root, '/', left.root)
  return left
}

const all = <Item>(items: readonly Item[]): readonly Item[] => items
const none = (): readonly never[] => []
const zeros = (writes: readonly Write[]): readonly Write[] =>
  writes.map(write => ({ ...write, bytes: new Uint8Array(write.bytes.length) }))

const CORNERS: readonly Outcome[] = [
  { keepNames: none, keepWrites: none },
  { keepNames: all, keepWrites: all },
  { keepNames: all, keepWrites: none },
  { keepNames: all, keepWrites: zeros },
]

/** Bytes that reach the disk together. */
const SECTOR_BYTES = 512

const mixture = (operations: number, seed: number): Outcome => {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(operations + 1, 0x85ebca6b))
  const isOneIn = (count: number): boolean => random(count) === 0
  const cut = random(operations + 1)

  const subset = (changes: readonly NameChange[]): readonly NameChange[] => {
    const kept: NameChange[] = []
    for (const change of changes) {
      if (isOneIn(2)) continue
      kept.push(
        change.set !== undefined && change.unset !== undefined && isOneIn(4)
          ? { at: change.at, set: change.set }
          : change,
      )
    }
    return kept
  }
  const prefix = (writes: readonly Write[]): readonly Write[] => {
    const count = random(writes.length + 1)
    const torn = writes[count]
    if (torn === undefined) return writes
    return [...writes.slice(0, count), { ...torn, bytes: torn.bytes.subarray(0, random(torn.bytes.length + 1)) }]
  }
  const sectors = (writes: readonly Write[]): readonly Write[] =>
    writes.map(write => {
      const bytes = new Uint8Array(write.bytes)
      for (let at = 0; at < bytes.length; at += SECTOR_BYTES) if (isOneIn(2)) bytes.fill(0, at, at + SECTOR_BYTES)
      return { ...write, bytes }
    })
  const dataOutcomes = [all, none, zeros, prefix, sectors]

  if (isOneIn(3)) {
    // As a journal in order of time would have it, with or without the bytes.
    const before = <Change extends { readonly at: number }>(changes: readonly Change[]): readonly Change[] =>
      changes.filter(({ at }) => at < cut)
    const data = dataOutcomes[random(dataOutcomes.length)] as typeof all<Write>
    return { keepNames: before, keepWrites: isOneIn(2) ? before : data }
  }
  return {
    keepNames: subset,
    keepWrites: writes => (dataOutcomes[random(dataOutcomes.length)] as typeof all<Write>)(writes),
  }
}
