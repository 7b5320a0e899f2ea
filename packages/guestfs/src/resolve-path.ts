/** Follows links as the guest would, inside its own tree. @module */
import type { Bytes } from '@granary/core'
import { corrupt, notFound } from './errors.ts'
import { splitPath } from './format/names.ts'
import type { FileNode, FileTree, LookupOptions } from './tree.ts'

/** As Linux. */
const MAX_LINKS = 40

/**
 * The node at a path, links on the way and at the end followed. `..` never leaves the root, and
 * neither do links: `/` is where the path begins.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when something on the way doesn't exist, `GRANARY_CORRUPT` when links loop
 */
export const resolvePath = async (
  tree: FileTree,
  path: string | Bytes,
  { from = tree.root, ...options }: LookupOptions = {},
): Promise<FileNode> => {
  const shown = typeof path === 'string' ? path : Buffer.from(path).toString('latin1')
  const names = splitPath(path)
  const above: FileNode[] = [from]
  let links = 0
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name.text === '..') {
      if (above.length > 1) above.pop()
      continue
    }
    const node = await tree.find(above.at(-1) as FileNode, name, options)
    if (node === undefined) throw notFound(shown)
    const { type } = await tree.stat(node, options)
    if (type !== 'symlink') {
      above.push(node)
      continue
    }
    if (++links > MAX_LINKS) throw corrupt(shown, `at most ${MAX_LINKS} links`, links)
    const target = await tree.readlink(node, options)
    names.unshift(...splitPath(target.bytes ?? target.text))
    if (target.text.startsWith('/')) above.length = 1
  }
  return above.at(-1) as FileNode
}
