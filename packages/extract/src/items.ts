/** What is extracted: files of trees, with the paths they get in the target. @module */
import type { AbortOptions } from '@granary/core'
import { joinPath } from '@granary/guestfs'
import type { FileNode, FileTree, Name, Stat } from '@granary/guestfs'

/** A file or folder that was chosen, with all that is in it. */
export interface Selection {
  readonly tree: FileTree
  readonly node: FileNode
  /** Where it goes in the target, names joined by `/`; empty when what is in a folder goes to the top. */
  readonly path: Name
}

/** A file on its way to the target. */
export interface ExtractItem {
  readonly kind: 'entry'
  readonly path: Name
  readonly tree: FileTree
  readonly node: FileNode
  readonly stat: Stat
  /** Files with the same key are one file with several names. */
  readonly linkKey?: string
}

/** A file, or why one can't be told of. */
export type ExtractStep = ExtractItem | { readonly kind: 'error'; readonly path: Name; readonly error: unknown }

export interface SelectOptions extends AbortOptions {
  /** Enter read-only snapshots of btrfs too. @default false */
  readonly snapshots?: boolean
}

/** Walks selections: each folder comes before what is in it. */
export async function* selectedItems(
  selections: Iterable<Selection> | AsyncIterable<Selection>,
  options: SelectOptions = {},
): AsyncGenerator<ExtractStep, void, undefined> {
  let number = 0
  for await (const { tree, node, path } of selections) {
    const place = number++
    // Paths of a walk begin with `/`; those of a target don't.
    const from = { node, path: path.text === '' ? path : joinPath({ text: '' }, path) }
    for await (const item of tree.walk({ ...options, from })) {
      const relative = withoutSlash(item.path)
      if (item.kind === 'error') yield { ...item, path: relative }
      else
        yield {
          ...{ kind: 'entry', path: relative, tree, node: item.node, stat: item.stat },
          ...(item.stat.type === 'file' && item.stat.nlink > 1 ? { linkKey: linkKeyOf(place, item.node) } : {}),
        }
    }
  }
}

/** Named streams of NTFS, which neither folders nor archives have a place for: how many stay behind. */
export const countStreams = async ({ tree, node }: ExtractItem, options: AbortOptions): Promise<number> =>
  (await tree.streams(node, options)).length

const withoutSlash = ({ text, bytes }: Name): Name =>
  bytes === undefined ? { text: text.replace(/^\//, '') } : { text: text.slice(1), bytes: bytes.subarray(1) }

const linkKeyOf = (selection: number, { volume = '', subvolume = 0, ino }: FileNode): string =>
  `${selection}:${volume}:${subvolume}:${ino}`
