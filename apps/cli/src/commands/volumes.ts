import { formatBytes, isGranaryError } from '@granary/core'
import { guessOs } from '@granary/guestfs'
import type { FileTree, GuestOs, SubvolumeInfo, Volume } from '@granary/guestfs'
import { textArgument } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { displayName } from '../terminal/display-name.ts'
import { parseGuestAddress } from '../guest/guest-address.ts'
import { GUEST_OPTIONS, codePageOf, openGuestDisks } from '../guest/open-disks.ts'
import { warnOf } from '../guest/open-trees.ts'
import { formatTable } from '../terminal/table.ts'

export const volumes: Command = {
  name: 'volumes',
  summary: 'show the volumes on disks, what is on them, and why one cannot be read',
  arguments: [
    { name: '<DISK>', description: 'a disk as for backup, several joined by +, or granary:ID for all of a snapshot' },
  ],
  options: GUEST_OPTIONS,
  examples: [
    'granary volumes web.qcow2',
    'granary volumes granary:latest --json',
    'granary volumes raw:/vm/root.raw+raw:/vm/data.raw',
  ],
  async run(invocation) {
    const { terminal } = invocation
    const { disks } = parseGuestAddress(textArgument(invocation, 0))
    await using guest = await openGuestDisks(invocation, disks)
    const rows: string[][] = []
    for (const volume of guest.set.volumes) {
      const inside = await lookInside(invocation, volume)
      terminal.emit(volumeObject(volume, inside))
      rows.push(tableRow(volume, inside), ...inside.subvolumes.map(subvolumeRow))
    }
    if (!terminal.isJson) terminal.say(formatTable(['VOLUME', 'CONTENT', 'SIZE', 'LABEL', 'SYSTEM', 'NOTE'], rows, [2]))
    warnOf(invocation, guest.set.warnings)
    return terminal.warnings > 0 ? 3 : 0
  },
}

interface Inside {
  readonly os: GuestOs | undefined
  readonly subvolumes: readonly SubvolumeInfo[]
  /** Why it can't be opened, where detection didn't know. */
  readonly problem: string | undefined
}

const NOTHING: Inside = { os: undefined, subvolumes: [], problem: undefined }

const lookInside = async (invocation: Invocation, volume: Volume): Promise<Inside> => {
  if (volume.whyNot !== undefined) return NOTHING
  const { signal, terminal } = invocation
  try {
    await using tree = await volume.open({ signal, ...codePageOf(invocation) })
    const subvolumes = await tree.subvolumes({ signal })
    const os = await systemOf(tree, subvolumes, signal)
    warnOf(invocation, tree.warnings, volume.id)
    return { os, subvolumes, problem: undefined }
  } catch (error) {
    signal.throwIfAborted()
    if (!isGranaryError(error)) throw error
    terminal.warn(`volume ${volume.id}: ${error.message}`, { volume: volume.id, code: error.code })
    return { ...NOTHING, problem: error.message }
  }
}

const systemOf = async (
  tree: FileTree,
  subvolumes: readonly SubvolumeInfo[],
  signal: AbortSignal,
): Promise<GuestOs | undefined> => {
  const roots = subvolumes
    .filter(({ isSnapshot }) => !isSnapshot)
    .toSorted((a, b) => Number(b.isDefault) - Number(a.isDefault))
  for (const root of roots.length === 0 ? [tree.root] : roots.map(({ node }) => node)) {
    const os = await guessOs(tree, { root, signal })
    if (os !== undefined) return os
  }
  return undefined
}

const volumeObject = (volume: Volume, { os, subvolumes, problem }: Inside): object => {
  const { id, kind, content, label, uuid, sizeBytes, source } = volume
  const whyNot = volume.whyNot ?? (problem === undefined ? undefined : { reason: 'corrupt', message: problem })
  return {
    type: 'volume',
    v: 1,
    id,
    kind,
    sizeBytes,
    ...(content === undefined ? {} : { content }),
    ...(label === undefined ? {} : { label }),
    ...(uuid === undefined ? {} : { uuid }),
    ...(os === undefined ? {} : { os }),
    source,
    ...(subvolumes.length === 0 ? {} : { subvolumes: subvolumes.map(subvolumeObject) }),
    ...(whyNot === undefined ? {} : { whyNot }),
  }
}

const subvolumeObject = ({ id, path, isDefault, isReadOnly, isSnapshot }: SubvolumeInfo): object => ({
  id,
  path: path.text,
  ...(path.bytes === undefined ? {} : { pathHex: Buffer.from(path.bytes).toString('hex') }),
  isDefault,
  isReadOnly: isReadOnly ?? false,
  isSnapshot: isSnapshot ?? false,
})

const tableRow = ({ id, content = '-', sizeBytes, label = '', whyNot }: Volume, { os, problem }: Inside): string[] => [
  id,
  content,
  formatBytes(sizeBytes),
  displayName(label),
  os === undefined ? '' : displayName(os.name),
  displayName(whyNot?.message ?? problem ?? ''),
]

const subvolumeRow = ({ id, path, isDefault, isReadOnly, isSnapshot }: SubvolumeInfo): string[] => {
  const notes = [isDefault ? 'default' : '', isSnapshot ? 'read-only snapshot' : isReadOnly ? 'read-only' : '']
  return [
    `  @${id}`,
    'subvolume',
    '',
    '',
    '',
    [displayName(path.text), ...notes.filter(note => note !== '')].join(', '),
  ]
}
