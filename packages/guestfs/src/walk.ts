/**
 * Walks a tree with memory bounded by its depth. Entries are taken from a directory in batches and looked at in
 * the order of their inode numbers, which on every file system read here is about the order on the disk.
 *
 * @module
 */
import { joinPath } from './format/names.ts'
import type { Name } from './format/names.ts'
import { NumberSet } from './number-set.ts'
import type { Entry, FileNode, FileTree, WalkItem, WalkOptions } from './tree.ts'
import { overLimit } from './errors.ts'
import type { WarningLog } from './warnings.ts'

const BATCH_ENTRIES = 1024

/** Deeper directories are told of and not entered: no system makes such, and each level costs memory. */
const MAX_DEPTH = 2048

interface Level {
  readonly path: Name
  readonly entries: AsyncIterator<Entry>
  /** Sorted from last to first. */
  batch: Entry[]
}

export async function* walkTree(
  tree: FileTree,
  warnings: WarningLog,
  { signal, snapshots = false, from = { node: tree.root, path: { text: '' } } }: WalkOptions = {},
): AsyncGenerator<WalkItem, void, undefined> {
  const walk: Walk = { tree, warnings, visited: new Map(), levels: [], signal, snapshots }
  try {
    yield* meet(walk, from.node, from.path)
    for (let level = walk.levels.at(-1); level !== undefined; level = walk.levels.at(-1)) {
      signal?.throwIfAborted()
      try {
        await fill(level)
      } catch (error) {
        signal?.throwIfAborted()
        yield { kind: 'error', path: shown(level.path), error }
      }
      const entry = level.batch.pop()
      if (entry === undefined) walk.levels.pop()
      else yield* meet(walk, entry.node, joinPath(level.path, entry.name))
    }
  } finally {
    for (const level of walk.levels) await level.entries.return?.()
  }
}

interface Walk {
  readonly tree: FileTree
  readonly warnings: WarningLog
  /** By volume and subvolume. */
  readonly visited: Map<string, NumberSet>
  readonly levels: Level[]
  readonly signal: AbortSignal | undefined
  readonly snapshots: boolean
}

async function* meet(walk: Walk, node: FileNode, path: Name): AsyncGenerator<WalkItem, void, undefined> {
  const { tree, signal } = walk
  signal?.throwIfAborted()
  let stat
  try {
    stat = await tree.stat(node, { signal })
  } catch (error) {
    signal?.throwIfAborted()
    yield { kind: 'error', path: shown(path), error }
    return
  }
  yield { kind: 'entry', path: shown(path), node, stat }
  if (stat.type !== 'dir' || node.isPlaceholder || (stat.isSnapshot && !walk.snapshots)) return
  if (!isNew(walk, node)) walk.warnings.add(`directory ${shown(path).text}`, `inode ${node.ino} has another name too`)
  else if (walk.levels.length >= MAX_DEPTH)
    yield { kind: 'error', path: shown(path), error: overLimit(path.text, `${MAX_DEPTH} levels`, MAX_DEPTH + 1) }
  else walk.levels.push({ path, entries: tree.list(node, { signal })[Symbol.asyncIterator](), batch: [] })
}

const isNew = ({ visited }: Walk, { ino, volume = '', subvolume = 0 }: FileNode): boolean => {
  const key = `${volume}:${subvolume}`
  let seen = visited.get(key)
  if (seen === undefined) visited.set(key, (seen = new NumberSet()))
  return seen.add(ino)
}

/** Takes the next batch when the last is used up. What was read before an error stays in it. */
const fill = async (level: Level): Promise<void> => {
  if (level.batch.length > 0) return
  try {
    while (level.batch.length < BATCH_ENTRIES) {
      const next = await level.entries.next()
      if (next.done) break
      level.batch.push(next.value)
    }
  } finally {
    level.batch.sort((a, b) => b.node.ino - a.node.ino)
  }
}

const shown = (path: Name): Name => (path.text === '' ? { text: '/' } : path)
