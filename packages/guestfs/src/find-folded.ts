/** Finds names as systems do that don't tell upper from lower case. @module */
import { isSameName } from './format/names.ts'
import type { Name } from './format/names.ts'
import type { Entry, FileNode } from './tree.ts'

/** The entry of exactly that name, else the first that differs in case only. */
export const findFolded = async <Node extends FileNode>(
  entries: AsyncIterable<Entry & { readonly node: Node }>,
  name: Name,
): Promise<Node | undefined> => {
  const folded = name.text.toUpperCase()
  let similar: Node | undefined
  for await (const entry of entries) {
    if (isSameName(entry.name, name)) return entry.node
    if (similar === undefined && entry.name.text.toUpperCase() === folded) similar = entry.node
  }
  return similar
}
