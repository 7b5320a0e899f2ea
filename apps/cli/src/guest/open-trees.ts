/** The trees of files that an address names. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { openGuest } from '@granary/guestfs'
import type { FileNode, FileTree, Volume, VolumeSet, Warning } from '@granary/guestfs'
import { textOption } from '../command.ts'
import type { Invocation } from '../command.ts'
import type { GuestAddress } from './guest-address.ts'
import { codePageOf } from './open-disks.ts'

/** The word that stands for all volumes of a guest, joined as the guest does. */
export const GUEST = 'guest'

export interface NamedTree extends AsyncDisposable {
  readonly tree: FileTree
  /** Of a file in it: the volume it is on. */
  readonly volumeOf: (node: FileNode) => string
  /** Where paths begin: the root, or the top of a subvolume. */
  readonly top: FileNode
}

/** Reasons that say all there is to say: nothing is lost by not reading such a volume. */
const EXPECTED = ['empty', 'swap', 'member']

/**
 * One after the other: each is closed before the next opens. When all volumes are asked for, those that can't be
 * read are warnings.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such volume, and what opening a volume throws that was
 * asked for by name
 */
export async function* openTrees(
  invocation: Invocation,
  set: VolumeSet,
  address: GuestAddress,
): AsyncGenerator<NamedTree, void, undefined> {
  if (address.volume !== undefined) {
    for (const { where, message } of set.warnings) invocation.terminal.notice(`${where}: ${message}`)
    await using tree = await openNamed(invocation, set, address)
    yield tree
    warnOf(invocation, tree.tree.warnings, address.volume)
    return
  }
  warnOf(invocation, set.warnings)
  for (const volume of set.volumes) {
    const { id, whyNot } = volume
    if (whyNot !== undefined) {
      if (!EXPECTED.includes(whyNot.reason)) invocation.terminal.warn(`volume ${id}: ${whyNot.message}`, { volume: id })
      continue
    }
    await using tree = await openOrWarn(invocation, volume)
    if (tree === undefined) continue
    yield tree
    warnOf(invocation, tree.tree.warnings, id)
  }
}

/** Ids of the volumes whose files can be read; the others are warnings, where something is lost with them. */
export const readableVolumes = ({ terminal }: Invocation, { volumes }: VolumeSet): readonly string[] => {
  for (const { id, whyNot } of volumes)
    if (whyNot !== undefined && !EXPECTED.includes(whyNot.reason))
      terminal.warn(`volume ${id}: ${whyNot.message}`, { volume: id })
  return volumes.filter(({ whyNot }) => whyNot === undefined).map(({ id }) => id)
}

/** The only tree of an address that must name one. */
export const openTree = async (invocation: Invocation, set: VolumeSet, address: GuestAddress): Promise<NamedTree> => {
  if (address.volume !== undefined) return await openNamed(invocation, set, address)
  const [only, ...others] = set.volumes.filter(({ whyNot }) => whyNot === undefined)
  if (only !== undefined && others.length === 0) return await openVolume(invocation, only)
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    only === undefined ? 'no volume can be read' : `${others.length + 1} volumes can be read: which one?`,
    { hint: `choose one of: ${set.volumes.map(({ id }) => id).join(', ')}` },
  )
}

export const warnOf = ({ terminal }: Invocation, warnings: readonly Warning[], volume?: string): void => {
  const prefix = volume === undefined ? '' : `volume ${volume}, `
  for (const { where, message } of warnings)
    terminal.warn(`${prefix}${where}: ${message}`, volume === undefined ? {} : { volume })
}

const openNamed = async (invocation: Invocation, set: VolumeSet, address: GuestAddress): Promise<NamedTree> => {
  const { signal } = invocation
  if (address.volume === GUEST) {
    const guest = await openGuest(set, { signal, ...codePageOf(invocation) })
    return {
      tree: guest.tree,
      top: guest.tree.root,
      volumeOf: node => node.volume ?? '',
      [Symbol.asyncDispose]: () => guest[Symbol.asyncDispose](),
    }
  }
  const volume = set.volumes.find(({ id }) => id === address.volume)
  if (volume !== undefined) return await openVolume(invocation, volume, address.subvolume)
  throw new GranaryError('GRANARY_NOT_FOUND', `there is no volume "${address.volume ?? ''}"`, {
    detail: { volume: address.volume ?? '' },
    hint: `choose one of: ${[GUEST, ...set.volumes.map(({ id }) => id)].join(', ')}`,
  })
}

const openVolume = async (invocation: Invocation, volume: Volume, subvolume?: number): Promise<NamedTree> => {
  const { signal } = invocation
  const tree = await volume.open({ signal, ...codePageOf(invocation) })
  try {
    const top = subvolume === undefined ? tree.root : await topOf(tree, subvolume, signal)
    return { tree, top, volumeOf: () => volume.id, [Symbol.asyncDispose]: () => tree[Symbol.asyncDispose]() }
  } catch (error) {
    await tree[Symbol.asyncDispose]()
    throw error
  }
}

const topOf = async (tree: FileTree, id: number, signal: AbortSignal): Promise<FileNode> => {
  const subvolumes = await tree.subvolumes({ signal })
  const found = subvolumes.find(subvolume => subvolume.id === id)
  if (found !== undefined) return found.node
  throw new GranaryError('GRANARY_NOT_FOUND', `there is no subvolume ${id}`, {
    detail: { subvolume: id },
    hint:
      subvolumes.length === 0
        ? `${tree.fileSystem} has none`
        : `there are: ${subvolumes.map(({ id: other }) => other).join(', ')}`,
  })
}

const openOrWarn = async (invocation: Invocation, volume: Volume): Promise<NamedTree | undefined> => {
  try {
    return await openVolume(invocation, volume)
  } catch (error) {
    invocation.signal.throwIfAborted()
    if (!isGranaryError(error)) throw error
    invocation.terminal.warn(`volume ${volume.id}: ${error.message}`, { volume: volume.id, code: error.code })
    return undefined
  }
}

export const PATH_OPTION = {
  flags: '--path-hex <HEX>',
  description: 'the path as hexadecimal bytes, for names that are no UTF-8: what `ls --json` shows as pathHex',
}

/** The path that an invocation asks for, as text or bytes. @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const pathOf = (invocation: Invocation, address: GuestAddress): string | Bytes => {
  const hex = textOption(invocation, 'pathHex')
  if (hex === undefined) return address.path
  if (address.path === '' && /^2f([0-9a-f]{2})*$/i.test(hex)) return Uint8Array.from(Buffer.from(hex, 'hex'))
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `--path-hex ${hex}: expected hexadecimal bytes that begin with 2f`,
    {
      hint: 'it takes the place of :/PATH',
    },
  )
}
