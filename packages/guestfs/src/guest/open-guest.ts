/**
 * Joins the volumes of a machine as its own system does: a Linux by its fstab, a Windows by its drive letters.
 *
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { FileNode, FileTree, SubvolumeInfo } from '../tree.ts'
import type { OpenTreeOptions, Volume, VolumeSet } from '../volume.ts'
import type { WarningLog } from '../warnings.ts'
import { findDevice } from './find-device.ts'
import { parseCrypttab, parseFstab } from './fstab.ts'
import type { FstabRow } from './fstab.ts'
import { guessOs } from './guess-os.ts'
import type { GuestOs } from './guess-os.ts'
import { readIfThere } from './guest-file.ts'
import { guestTree } from './guest-tree.ts'
import type { GuestTree, Place } from './guest-tree.ts'
import { windowsDrives } from './windows-drives.ts'

/** Subvolumes looked at for a system's root. */
const MAX_ROOT_SUBVOLUMES = 64

export interface Guest extends AsyncDisposable {
  readonly os: GuestOs
  /** Nodes and stats tell by `volume` on which volume a file is. Closed with the guest. */
  readonly tree: FileTree
  /** What is shown where: `/` and the mount points, or drive letters. */
  readonly mounts: readonly { readonly path: string; readonly volume: string; readonly subvolume?: number }[]
}

interface Root extends Place {
  readonly os: GuestOs
}

/**
 * @param set stays the caller's, and must stay open
 * @throws GranaryError `GRANARY_NOT_FOUND` when no system is on the volumes
 */
export const openGuest = async (set: VolumeSet, options: OpenTreeOptions = {}): Promise<Guest> => {
  const trees = new Map<string, FileTree>()
  const open = async (volume: Volume): Promise<FileTree> => {
    const tree = trees.get(volume.id) ?? (await volume.open(options))
    trees.set(volume.id, tree)
    return tree
  }
  try {
    const problems: string[] = []
    const roots = await findRoots(set, open, problems, options)
    const [root] = roots
    if (root === undefined)
      throw new GranaryError('GRANARY_NOT_FOUND', 'no volume holds a system that is known here', {
        detail: { problems: problems.join('; ') },
        hint: 'name a volume instead of guest: `granary volumes` shows them',
      })
    const joined =
      root.os.family === 'windows'
        ? await joinWindows(set, root, open, trees, options)
        : await joinLinux(set, root, open, trees, options)
    for (const problem of problems) joined.guest.warnings.add('guest', problem)
    for (const other of roots.slice(1))
      joined.guest.warnings.add('guest', `${other.os.name} on ${other.volume} is not joined: name its volume`)
    const { tree } = joined.guest
    return { os: root.os, tree, mounts: joined.mounts, [Symbol.asyncDispose]: () => tree[Symbol.asyncDispose]() }
  } catch (error) {
    for (const tree of trees.values()) await tree[Symbol.asyncDispose]()
    throw error
  }
}

type OpenVolume = (volume: Volume) => Promise<FileTree>

/** Systems, the first that was found first. A tree without one is closed with the guest, as the others are. */
const findRoots = async (
  { volumes }: VolumeSet,
  open: OpenVolume,
  problems: string[],
  options: AbortOptions,
): Promise<Root[]> => {
  const roots: Root[] = []
  for (const volume of volumes) {
    if (volume.whyNot !== undefined) continue
    try {
      const tree = await open(volume)
      for (const node of await possibleRoots(tree, options)) {
        const os = await guessOs(tree, { root: node, ...options })
        if (os === undefined) continue
        roots.push({ volume: volume.id, tree, node, os })
        break // Other subvolumes are older or other versions of it.
      }
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!isGranaryError(error)) throw error
      problems.push(`volume ${volume.id}: ${error.message}`)
    }
  }
  return roots
}

/** The root, and of btrfs the default subvolume and others, where distributions put theirs. */
const possibleRoots = async (tree: FileTree, options: AbortOptions): Promise<FileNode[]> => {
  const subvolumes = (await tree.subvolumes(options)).filter(({ isSnapshot }) => !isSnapshot)
  const rank = ({ isDefault, path }: SubvolumeInfo): number =>
    isDefault ? 0 : /^\/(@|root|@rootfs)$/.test(path.text) ? 1 : 2
  const sorted = subvolumes.toSorted((a, b) => rank(a) - rank(b)).slice(0, MAX_ROOT_SUBVOLUMES)
  return sorted.length === 0 ? [tree.root] : sorted.map(({ node }) => node)
}

interface Joined {
  readonly guest: GuestTree
  readonly mounts: Guest['mounts']
}

const mountOf = (path: string, { volume, node: { subvolume } }: Place): Guest['mounts'][number] => ({
  path,
  volume,
  ...(subvolume === undefined ? {} : { subvolume }),
})

const joinWindows = async (
  { volumes }: VolumeSet,
  root: Root,
  open: OpenVolume,
  trees: ReadonlyMap<string, FileTree>,
  options: AbortOptions,
): Promise<Joined> => {
  const drives: { letter: string; place: Place }[] = []
  const guest = guestTree({ drives, trees })
  for (const [letter, volume] of await windowsDrives(root.tree, volumes, guest.warnings, options)) {
    const tree = await openOrWarn(volume, letter, open, guest.warnings, options)
    if (tree !== undefined) drives.push({ letter, place: { volume: volume.id, tree, node: tree.root } })
  }
  // Windows runs from C:, but for rare installations whose registry says otherwise.
  if (!drives.some(({ place }) => place.volume === root.volume)) {
    guest.warnings.add('guest', `the registry gives ${root.volume} no letter: it is shown as C:`)
    const taken = drives.findIndex(({ letter }) => letter === 'C:')
    if (taken >= 0) drives.splice(taken, 1)
    drives.push({ letter: 'C:', place: root })
  }
  drives.sort((a, b) => (a.letter < b.letter ? -1 : 1))
  return { guest, mounts: drives.map(({ letter, place }) => mountOf(`/${letter}`, place)) }
}

const openOrWarn = async (
  volume: Volume,
  where: string,
  open: OpenVolume,
  warnings: WarningLog,
  { signal }: AbortOptions,
): Promise<FileTree | undefined> => {
  try {
    return await open(volume)
  } catch (error) {
    signal?.throwIfAborted()
    if (!isGranaryError(error)) throw error
    warnings.addError(where, error)
    return undefined
  }
}

const joinLinux = async (
  { volumes }: VolumeSet,
  root: Root,
  open: OpenVolume,
  trees: ReadonlyMap<string, FileTree>,
  options: AbortOptions,
): Promise<Joined> => {
  const guest = guestTree({ root, trees })
  const mounts = [mountOf('/', root)]
  const table = (await readIfThere(root.tree, root.node, '/etc/fstab', options)) ?? ''
  const crypttab = parseCrypttab((await readIfThere(root.tree, root.node, '/etc/crypttab', options)) ?? '')
  for (const row of parseFstab(table)) {
    if (row.point === '/') continue // Where fstab was found.
    const where = `fstab, ${row.point}`
    try {
      const found = findDevice(volumes, row.device, crypttab)
      const place = await placeOf(row, where, found, open, guest.warnings, options)
      if (place === undefined) continue
      guest.mount(await guest.tree.lookup(row.point, options), place)
      mounts.push(mountOf(row.point, place))
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!isGranaryError(error)) throw error
      guest.warnings.addError(where, error)
    }
  }
  return { guest, mounts }
}

const placeOf = async (
  { device, options: mountOptions }: FstabRow,
  where: string,
  [volume, ...others]: readonly Volume[],
  open: OpenVolume,
  warnings: WarningLog,
  options: AbortOptions,
): Promise<Place | undefined> => {
  if (mountOptions.some(option => option === 'bind' || option === 'rbind')) {
    warnings.add(where, 'a bind mount is not shown: look at its source')
    return undefined
  }
  if (volume === undefined) {
    warnings.add(where, `${device} is not among these volumes, or can't be read`)
    return undefined
  }
  if (others.length > 0)
    warnings.add(where, `${device} is ${[volume, ...others].map(({ id }) => id).join(' and ')}: the first is shown`)
  const tree = await open(volume)
  return { volume: volume.id, tree, node: await subvolumeNode(tree, mountOptions, options) }
}

/** Which subvolume mount options choose: by name, by id, else the default one. */
const subvolumeNode = async (
  tree: FileTree,
  mountOptions: readonly string[],
  options: AbortOptions,
): Promise<FileNode> => {
  const valueOf = (name: string): string | undefined =>
    mountOptions.find(option => option.startsWith(`${name}=`))?.slice(name.length + 1)
  const path = valueOf('subvol')
  if (path !== undefined) return await tree.lookup(path, options)
  const subvolumes = await tree.subvolumes(options)
  const id = valueOf('subvolid')
  const wanted = subvolumes.find(subvolume => (id === undefined ? subvolume.isDefault : subvolume.id === Number(id)))
  if (wanted === undefined && id !== undefined)
    throw new GranaryError('GRANARY_NOT_FOUND', `subvolume ${id} does not exist`, { detail: { subvolume: id } })
  return wanted?.node ?? tree.root
}
