/** The files of a guest's tree as entries of an image. @module */
import type { AbortOptions } from '@granary/core'
import { splitPath, bytesOfName } from '@granary/guestfs'
import type { FileNode, FileTree, Name, Stat } from '@granary/guestfs'
import { contentOfDisk } from './content.ts'
import type { IsoEntry } from './entry.ts'

export interface TreeEntriesOptions extends AbortOptions {
  /** Names in front of every path. @default none */
  readonly under?: readonly Name[]
  /** Where to begin; its path is kept. @default the root */
  readonly from?: { readonly node: FileNode; readonly path: Name }
  /** Enter read-only snapshots too. @default false */
  readonly snapshots?: boolean
  /** Tells trees apart whose files have equal numbers, as in the volume's id. @default '' */
  readonly key?: string
  /** Takes what the walk can't tell of. */
  readonly onError: (path: string, error: unknown) => void
}

/** Walks the tree. Links are read here, contents when the image is written; the tree must stay open until then. */
export async function* entriesOfTree(
  tree: FileTree,
  { under = [], from, snapshots, key = '', onError, signal }: TreeEntriesOptions,
): AsyncGenerator<IsoEntry, void, undefined> {
  const options = { signal, ...(from === undefined ? {} : { from }), ...(snapshots === undefined ? {} : { snapshots }) }
  for await (const item of tree.walk(options)) {
    if (item.kind === 'error') {
      onError(item.path.text, item.error)
      continue
    }
    const { node, stat } = item
    const path = [...under, ...splitPath(bytesOfName(item.path))]
    try {
      const target = stat.type === 'symlink' ? { target: await tree.readlink(node, { signal }) } : {}
      yield { path, stat, ...target, ...linkOf(stat, key), ...contentOf(tree, node, stat) }
    } catch (error) {
      signal?.throwIfAborted()
      onError(item.path.text, error)
    }
  }
}

const linkOf = ({ type, nlink, subvolume = 0, ino }: Stat, key: string): Pick<IsoEntry, 'linkKey'> =>
  type === 'dir' || nlink < 2 ? {} : { linkKey: `${key}/${subvolume}/${ino}` }

const contentOf = (tree: FileTree, node: FileNode, { type }: Stat): Pick<IsoEntry, 'open'> =>
  type === 'file' ? { open: async options => contentOfDisk(await tree.open(node, options)) } : {}
