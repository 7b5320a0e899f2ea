/** Makes the tree that callers see of what a file system brings. @module */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { notFound, unsupported, wrongType } from './errors.ts'
import { isSameName, splitPath } from './format/names.ts'
import type { Name } from './format/names.ts'
import type { FileNode, FileSystem, FileTree, OpenFileOptions, Stat } from './tree.ts'
import { walkTree } from './walk.ts'
import type { WarningLog } from './warnings.ts'

export const treeOf = <Node extends FileNode>(fileSystem: FileSystem<Node>, warnings: WarningLog): FileTree => {
  const own = (node: FileNode): Node => node as Node // Nodes come from this tree: that is their contract.
  const tree: FileTree = {
    fileSystem: fileSystem.name,
    root: fileSystem.root,
    get warnings() {
      return warnings.list()
    },
    async *list(dir, options = {}) {
      await expectDirectory(fileSystem, own(dir), options)
      yield* fileSystem.list(own(dir), options)
    },
    lookup: (path, { from = fileSystem.root, ...options } = {}) => lookup(fileSystem, own(from), path, options),
    async find(dir, name, options = {}) {
      await expectDirectory(fileSystem, own(dir), options)
      return await findIn(fileSystem, own(dir), name, options)
    },
    stat: (node, options = {}) => fileSystem.stat(own(node), options),
    open: (file, options = {}) => open(fileSystem, own(file), options),
    async readlink(link, options = {}) {
      const stat = await fileSystem.stat(own(link), options)
      if (stat.type !== 'symlink' || fileSystem.readlink === undefined)
        throw wrongType(`inode ${link.ino}`, 'symbolic link', stat.type)
      if (stat.isEncrypted) throw encrypted(link)
      return await fileSystem.readlink(own(link), options)
    },
    xattrs: async (node, options = {}) => (await fileSystem.xattrs?.(own(node), options)) ?? [],
    streams: async (node, options = {}) => (await fileSystem.streams?.(own(node), options)) ?? [],
    subvolumes: async (options = {}) => (await fileSystem.subvolumes?.(options)) ?? [],
    walk: options => walkTree(tree, warnings, options),
    [Symbol.asyncDispose]: async () => await fileSystem.dispose?.(),
  }
  return tree
}

const open = async <Node extends FileNode>(
  fileSystem: FileSystem<Node>,
  file: Node,
  options: OpenFileOptions,
): Promise<DiskReader> => {
  const stat = await fileSystem.stat(file, options)
  if (options.stream !== undefined) {
    if (fileSystem.streams === undefined) throw notFound(`stream ${options.stream} of inode ${file.ino}`)
  } else if (stat.type !== 'file') throw wrongType(`inode ${file.ino}`, 'regular file', stat.type)
  if (stat.isEncrypted) throw encrypted(file)
  return await fileSystem.content(file, stat, options)
}

const expectDirectory = async <Node extends FileNode>(
  fileSystem: FileSystem<Node>,
  dir: Node,
  options: AbortOptions,
): Promise<Stat> => {
  options.signal?.throwIfAborted()
  const stat = await fileSystem.stat(dir, options)
  if (stat.type !== 'dir') throw wrongType(`inode ${dir.ino}`, 'directory', stat.type)
  if (stat.isEncrypted) throw encrypted(dir)
  return stat
}

const encrypted = (node: FileNode): Error =>
  unsupported(`inode ${node.ino}`, 'is encrypted by the guest', 'only the guest has the key: restore the whole disk')

const lookup = async <Node extends FileNode>(
  fileSystem: FileSystem<Node>,
  from: Node,
  path: string | Bytes,
  options: AbortOptions,
): Promise<Node> => {
  let node = from
  for (const name of splitPath(path)) {
    await expectDirectory(fileSystem, node, options)
    const found = await findIn(fileSystem, node, name, options)
    if (found === undefined) throw notFound(typeof path === 'string' ? path : name.text)
    node = found
  }
  return node
}

const findIn = async <Node extends FileNode>(
  fileSystem: FileSystem<Node>,
  dir: Node,
  name: Name,
  options: AbortOptions,
): Promise<Node | undefined> =>
  await (fileSystem.find?.(dir, name, options) ?? findByListing(fileSystem, dir, name, options))

const findByListing = async <Node extends FileNode>(
  fileSystem: FileSystem<Node>,
  dir: Node,
  name: Name,
  options: AbortOptions,
): Promise<Node | undefined> => {
  for await (const entry of fileSystem.list(dir, options)) if (isSameName(entry.name, name)) return entry.node
  return undefined
}
