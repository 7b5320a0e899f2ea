/** Which system a volume has, by the files that say so. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { nameOfUtf16 } from '../format/names.ts'
import { openHive } from '../registry/hive.ts'
import type { FileNode, FileTree } from '../tree.ts'
import { isDirectory, openIfThere, readIfThere } from './guest-file.ts'

export interface GuestOs {
  readonly family: 'linux' | 'windows'
  /** As it names itself: `Debian GNU/Linux 12 (bookworm)`, `Windows 11 Pro`. */
  readonly name: string
}

/** Where systems that follow freedesktop.org's os-release(5) say who they are; the second is often a link to the first. */
const OS_RELEASE = ['/usr/lib/os-release', '/etc/os-release'] as const

const CURRENT_VERSION = ['Microsoft', 'Windows NT', 'CurrentVersion']

/** Windows 11 still calls itself 10 in the registry; its builds begin here. */
const FIRST_BUILD_OF_11 = 22_000

/**
 * The system whose root is at `root`, or undefined.
 *
 * @param root @default the root of the tree
 */
export const guessOs = async (
  tree: FileTree,
  { root = tree.root, ...options }: AbortOptions & { readonly root?: FileNode } = {},
): Promise<GuestOs | undefined> => (await guessWindows(tree, root, options)) ?? (await guessLinux(tree, root, options))

const guessLinux = async (tree: FileTree, root: FileNode, options: AbortOptions): Promise<GuestOs | undefined> => {
  if (tree.fileSystem === 'ntfs' || tree.fileSystem === 'vfat' || tree.fileSystem === 'exfat') return undefined
  for (const path of OS_RELEASE) {
    const release = await readIfThere(tree, root, path, options)
    const [, quoted] = /^PRETTY_NAME=(.*)$/m.exec(release ?? '') ?? []
    if (quoted !== undefined) return { family: 'linux', name: unquoted(quoted) }
  }
  const redHat = await readIfThere(tree, root, '/etc/redhat-release', options)
  if (redHat !== undefined) return { family: 'linux', name: redHat.trim() }
  const hasTable = (await readIfThere(tree, root, '/etc/fstab', options)) !== undefined
  return hasTable ? { family: 'linux', name: 'Linux' } : undefined
}

/** A value of a shell assignment. */
const unquoted = (text: string): string => {
  const inside = /^(["'])(.*)\1\s*$/.exec(text)?.[2] ?? text
  return inside.replaceAll(/\\(.)/g, '$1').trim()
}

const guessWindows = async (tree: FileTree, root: FileNode, options: AbortOptions): Promise<GuestOs | undefined> => {
  if (tree.fileSystem !== 'ntfs') return undefined
  const file = await openIfThere(tree, root, '/Windows/System32/config/SOFTWARE', options)
  if (file !== undefined) {
    try {
      const values = (await (await openHive(file, options)).values(CURRENT_VERSION, options)) ?? []
      const textOf = (name: string): string =>
        nameOfUtf16(values.find(value => value.name === name)?.data ?? new Uint8Array(0)).text.split('\0', 1)[0] ?? ''
      const product = textOf('ProductName')
      const isEleven = Number(textOf('CurrentBuildNumber')) >= FIRST_BUILD_OF_11
      if (product !== '')
        return { family: 'windows', name: isEleven ? product.replace(/^Windows 10\b/, 'Windows 11') : product }
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!isGranaryError(error)) throw error
    }
  }
  return (await isDirectory(tree, root, '/Windows/System32', options))
    ? { family: 'windows', name: 'Windows' }
    : undefined
}
