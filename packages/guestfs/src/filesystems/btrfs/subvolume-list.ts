/**
 * The subvolumes of a file system and where they are found.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, sections "ROOT_BACKREF", "ROOT_ITEM"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { joinPath, nameOfBytes } from '../../format/names.ts'
import type { Name } from '../../format/names.ts'
import type { SubvolumeInfo } from '../../tree.ts'
import { subvolumeOf } from './btrfs.ts'
import type { Btrfs } from './btrfs.ts'
import { ITEM } from './keys.ts'
import { itemsFrom, itemsOfType } from './tree-reader.ts'

const TOP_SUBVOLUME = 5
const TOP_INODE = 256
const FIRST_SUBVOLUME = 256n
const LAST_SUBVOLUME = 2n ** 64n - 256n
const ROOT_TREE_DIRECTORY = 6n

/** Subvolumes inside each other, and directories above one. */
const MAX_DEPTH = 256

interface Reference {
  readonly parent: number
  readonly dir: number
  readonly name: Name
}

/** The top first, then by id. One whose place can't be told is a warning. */
export const listSubvolumes = async (btrfs: Btrfs, options: AbortOptions): Promise<SubvolumeInfo[]> => {
  const references = new Map<number, Reference>()
  const from = { object: FIRST_SUBVOLUME, type: 0, offset: 0n }
  for await (const { key, data } of itemsFrom(btrfs.store, btrfs.rootTree, from, options)) {
    if (key.object > LAST_SUBVOLUME) break
    if (key.type !== ITEM.rootBackReference) continue
    const name = nameOfBytes(data.slice(18, data.u16(16)))
    references.set(Number(key.object), { parent: Number(key.offset), dir: data.u64(0), name })
  }
  const defaultId = await defaultSubvolume(btrfs, options)
  const top = { id: TOP_SUBVOLUME, path: { text: '/' }, node: { ino: TOP_INODE, subvolume: TOP_SUBVOLUME } }
  const found: SubvolumeInfo[] = [{ ...top, isDefault: defaultId === TOP_SUBVOLUME }]
  for (const id of references.keys()) {
    try {
      const { isReadOnly, isSnapshot } = await subvolumeOf(btrfs, id, options)
      found.push({
        id,
        path: await pathOf(btrfs, references, id, options),
        node: { ino: TOP_INODE, subvolume: id },
        isDefault: id === defaultId,
        ...(isReadOnly ? { isReadOnly: true as const } : {}),
        ...(isSnapshot && isReadOnly ? { isSnapshot: true as const } : {}),
      })
    } catch (error) {
      options.signal?.throwIfAborted()
      btrfs.store.warnings.addError(`subvolume ${id}`, error)
    }
  }
  return found
}

/** Names from the subvolume up to the top. */
const pathOf = async (
  btrfs: Btrfs,
  references: ReadonlyMap<number, Reference>,
  id: number,
  options: AbortOptions,
): Promise<Name> => {
  const names: Name[] = []
  for (let at = id; at !== TOP_SUBVOLUME;) {
    const reference = references.get(at)
    if (reference === undefined || names.length > MAX_DEPTH)
      throw corrupt(`subvolume ${id}`, 'a place below the top', `none for subvolume ${at}`)
    names.push(reference.name, ...(await directoryNames(btrfs, reference, options)))
    at = reference.parent
  }
  return names.reduceRight<Name>((path, name) => joinPath(path, name), { text: '' })
}

/** The directories above a subvolume inside its parent, the innermost first. */
const directoryNames = async (btrfs: Btrfs, { parent, dir }: Reference, options: AbortOptions): Promise<Name[]> => {
  const { root } = await subvolumeOf(btrfs, parent, options)
  const names: Name[] = []
  for (let ino = dir; ino !== TOP_INODE;) {
    const own = { object: BigInt(ino), type: ITEM.inodeReference }
    const { value: item } = await itemsOfType(btrfs.store, root, own, options).next()
    if (item === undefined || names.length > MAX_DEPTH)
      throw corrupt(`subvolume ${parent}, inode ${ino}`, 'a name', 'none')
    names.push(nameOfBytes(item.data.slice(10, item.data.u16(8))))
    ino = Number(item.key.offset)
  }
  return names
}

/** What is mounted when nobody chooses: the entry "default" of the directory of trees. */
const defaultSubvolume = async ({ store, rootTree }: Btrfs, options: AbortOptions): Promise<number> => {
  const entries = { object: ROOT_TREE_DIRECTORY, type: ITEM.directoryEntry }
  for await (const { data } of itemsOfType(store, rootTree, entries, options)) {
    if (Buffer.from(data.slice(30, data.u16(27))).toString('latin1') === 'default') return data.u64(0)
  }
  return TOP_SUBVOLUME
}
