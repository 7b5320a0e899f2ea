/** Small files of a guest that say how its volumes belong together. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import type { FileNode, FileTree } from '../tree.ts'

/** Configuration is never larger; whoever writes more is not read to the end. */
const MAX_CONFIG_BYTES = 1024 * 1024

/** Whether a directory is there. */
export const isDirectory = async (
  tree: FileTree,
  from: FileNode,
  path: string,
  options: AbortOptions,
): Promise<boolean> => {
  try {
    return (await tree.stat(await tree.lookup(path, { ...options, from }), options)).type === 'dir'
  } catch (error) {
    options.signal?.throwIfAborted()
    if (isGranaryError(error)) return false
    throw error
  }
}

/** A file below a directory, or undefined when there is none or it can't be read. */
export const openIfThere = async (
  tree: FileTree,
  from: FileNode,
  path: string,
  options: AbortOptions,
): Promise<DiskReader | undefined> => {
  try {
    const node = await tree.lookup(path, { ...options, from })
    const { type } = await tree.stat(node, options)
    return type === 'file' ? await tree.open(node, options) : undefined
  } catch (error) {
    options.signal?.throwIfAborted()
    if (isGranaryError(error)) return undefined
    throw error
  }
}

/** The text of a small file, its first MiB, or undefined. */
export const readIfThere = async (
  tree: FileTree,
  from: FileNode,
  path: string,
  options: AbortOptions,
): Promise<string | undefined> => {
  const file = await openIfThere(tree, from, path, options)
  if (file === undefined) return undefined
  const bytes: Bytes = new Uint8Array(Math.min(file.sizeBytes, MAX_CONFIG_BYTES))
  try {
    await file.read(0, bytes, options)
  } catch (error) {
    options.signal?.throwIfAborted()
    if (isGranaryError(error)) return undefined
    throw error
  }
  return Buffer.from(bytes).toString('utf8')
}
