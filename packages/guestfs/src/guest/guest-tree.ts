/** One tree of several: directories of one volume show what is mounted there from another. @module */
import type { AbortOptions } from '@granary/core'
import { wrongType } from '../errors.ts'
import { isSameName } from '../format/names.ts'
import type { Name } from '../format/names.ts'
import { treeOf } from '../tree-of.ts'
import type { Entry, FileNode, FileSystem, FileTree, Stat } from '../tree.ts'
import { WarningLog } from '../warnings.ts'
import type { Warning } from '../warnings.ts'

/** A directory of a volume's tree, as it is shown somewhere else. */
export interface Place {
  readonly volume: string
  readonly tree: FileTree
  readonly node: FileNode
}

interface GuestNode extends FileNode {
  readonly volume: string
  /** Undefined for the root of drive letters. */
  readonly place: Place | undefined
}

/** Of a Windows guest: above all drives. */
const LETTERS_ROOT: GuestNode = { ino: 0, volume: '', place: undefined }

export interface GuestTreeOptions {
  /** What is at `/`; with drive letters instead, nothing. */
  readonly root?: Place
  /** `C:` and so on. */
  readonly drives?: readonly { readonly letter: string; readonly place: Place }[]
  /** Closed with the tree. */
  readonly trees: ReadonlyMap<string, FileTree>
}

/** What opening found, and what the joined trees find. */
class JoinedWarnings extends WarningLog {
  readonly #trees: ReadonlyMap<string, FileTree>

  constructor(trees: ReadonlyMap<string, FileTree>) {
    super()
    this.#trees = trees
  }

  override list(): readonly Warning[] {
    const theirs = [...this.#trees].flatMap(([volume, tree]) =>
      tree.warnings.map(({ where, message }) => ({ where: `${volume}, ${where}`, message })),
    )
    return [...super.list(), ...theirs]
  }
}

export interface GuestTree {
  readonly tree: FileTree
  readonly warnings: WarningLog
  /** Shows a place instead of a directory of the joined tree. */
  mount(point: FileNode, place: Place): void
}

export const guestTree = ({ root, drives = [], trees }: GuestTreeOptions): GuestTree => {
  const mounts = new Map<string, Place>()
  const nodeOf = (place: Place): GuestNode => {
    const shown = mounts.get(keyOf(place)) ?? place
    const { ino, subvolume, isPlaceholder } = shown.node
    return {
      ino,
      volume: shown.volume,
      place: shown,
      ...(subvolume === undefined ? {} : { subvolume }),
      // What is mounted over an empty directory of a snapshot is no placeholder, and has its own node.
      ...(isPlaceholder === undefined ? {} : { isPlaceholder }),
    }
  }
  const placeOf = (node: GuestNode): Place => {
    if (node.place !== undefined) return node.place
    throw wrongType('the root of all drives', 'file of a volume', 'list of drives')
  }
  const warnings = new JoinedWarnings(trees)
  const fileSystem: FileSystem<GuestNode> = {
    name: 'guest',
    root: root === undefined ? LETTERS_ROOT : nodeOf(root),
    list: (dir, options) =>
      dir.place === undefined ? listDrives(drives, nodeOf) : listPlace(dir.place, nodeOf, options),
    stat: async (node, options) => (node.place === undefined ? LETTERS_STAT : await statOf(node.place, options)),
    content: async (file, _stat, options) => await placeOf(file).tree.open(placeOf(file).node, options),
    readlink: async (link, options) => await placeOf(link).tree.readlink(placeOf(link).node, options),
    xattrs: async (node, options) => (await node.place?.tree.xattrs(node.place.node, options)) ?? [],
    streams: async (node, options) => (await node.place?.tree.streams(node.place.node, options)) ?? [],
    async find(dir, name, options) {
      if (dir.place === undefined) return findDrive(drives, name, nodeOf)
      const { tree, node, volume } = dir.place
      const found = await tree.find(node, name, options)
      return found && nodeOf({ tree, volume, node: found })
    },
    async dispose() {
      for (const tree of trees.values()) await tree[Symbol.asyncDispose]()
    },
  }
  return {
    tree: treeOf(fileSystem, warnings),
    warnings,
    mount(point, place) {
      const below = (point as GuestNode).place
      if (below !== undefined) mounts.set(keyOf(below), place)
    },
  }
}

const LETTERS_STAT: Stat = { type: 'dir', ino: 0, sizeBytes: 0, nlink: 1 }

const keyOf = ({ volume, node }: Place): string => `${volume}:${node.subvolume ?? ''}:${node.ino}`

const statOf = async ({ tree, node, volume }: Place, options: AbortOptions): Promise<Stat> => ({
  ...(await tree.stat(node, options)),
  volume,
})

async function* listPlace(
  { tree, node, volume }: Place,
  nodeOf: (place: Place) => GuestNode,
  options: AbortOptions,
): AsyncGenerator<Entry & { readonly node: GuestNode }, void, undefined> {
  for await (const entry of tree.list(node, options))
    yield { ...entry, node: nodeOf({ tree, volume, node: entry.node }) }
}

type Drives = NonNullable<GuestTreeOptions['drives']>

async function* listDrives(
  drives: Drives,
  nodeOf: (place: Place) => GuestNode,
): AsyncGenerator<Entry & { readonly node: GuestNode }, void, undefined> {
  for (const { letter, place } of drives) yield { name: { text: letter }, type: 'dir', node: nodeOf(place) }
}

const findDrive = (drives: Drives, name: Name, nodeOf: (place: Place) => GuestNode): GuestNode | undefined => {
  const drive = drives.find(({ letter }) => isSameName({ text: name.text.toUpperCase() }, { text: letter }))
  return drive && nodeOf(drive.place)
}
