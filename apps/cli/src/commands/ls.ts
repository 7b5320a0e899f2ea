import { isGranaryError } from '@granary/core'
import { bytesOfName, joinPath, nameOfBytes, resolvePath } from '@granary/guestfs'
import type { FileNode, FileTree, Name, WalkItem } from '@granary/guestfs'
import { isGiven, textArgument } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { describeEntry, entryRow } from '../guest/entry-output.ts'
import { displayName } from '../terminal/display-name.ts'
import { parseGuestAddress } from '../guest/guest-address.ts'
import { GUEST_OPTIONS, openGuestDisks } from '../guest/open-disks.ts'
import { PATH_OPTION, openTrees, pathOf } from '../guest/open-trees.ts'
import type { NamedTree } from '../guest/open-trees.ts'

export const ls: Command = {
  name: 'ls',
  summary: 'list files inside disks, without mounting them',
  arguments: [
    {
      name: '<DISK[:VOLUME[:/PATH]]>',
      description: 'a volume as `granary volumes` shows it, or guest: all joined as the guest does',
    },
  ],
  options: [
    { flags: '-R, --recursive', description: 'everything below, each folder before what is in it' },
    { flags: '--hash', description: 'with the SHA-256 of the content of files, which is read for it' },
    { flags: '--snapshots', description: 'enter read-only snapshots of btrfs too' },
    PATH_OPTION,
    ...GUEST_OPTIONS,
  ],
  examples: [
    'granary ls web.qcow2:p1:/etc',
    'granary ls granary:latest:guest:/var/log -R --json',
    'granary ls granary:1f2e3d4c/root:p3@257:/home --hash',
  ],
  async run(invocation) {
    const { terminal } = invocation
    const address = parseGuestAddress(textArgument(invocation, 0))
    const path = pathOf(invocation, address)
    await using guest = await openGuestDisks(invocation, address.disks)
    for await (const named of openTrees(invocation, guest.set, address)) {
      const from = await startOf(named, path, invocation.signal)
      const items = isGiven(invocation, 'recursive')
        ? named.tree.walk({ signal: invocation.signal, snapshots: isGiven(invocation, 'snapshots'), from })
        : listOne(named.tree, from, invocation.signal)
      for await (const item of items) await print(invocation, named, item)
    }
    return terminal.warnings > 0 ? 3 : 0
  },
}

interface Start {
  readonly node: FileNode
  readonly path: Name
}

/** Links in what was asked for are followed, but for one at its end that leads to no directory. */
const startOf = async (
  { tree, top }: NamedTree,
  path: Parameters<typeof resolvePath>[1],
  signal: AbortSignal,
): Promise<Start> => {
  const wanted = typeof path === 'string' ? { text: path } : nameOfBytes(path)
  const shown = wanted.text === '/' ? { text: '' } : wanted
  try {
    const node = await resolvePath(tree, path, { signal, from: top })
    if ((await tree.stat(node, { signal })).type === 'dir') return { node, path: shown }
  } catch (error) {
    signal.throwIfAborted()
    if (!isGranaryError(error)) throw error
  }
  return { node: await tree.lookup(path, { signal, from: top }), path: shown }
}

/** What is in a directory, or the file itself. */
async function* listOne(tree: FileTree, { node, path }: Start, signal: AbortSignal): AsyncGenerator<WalkItem> {
  const stat = await tree.stat(node, { signal })
  if (stat.type !== 'dir') {
    yield { kind: 'entry', path, node, stat }
    return
  }
  for await (const entry of tree.list(node, { signal })) {
    const below = joinPath(path, entry.name)
    try {
      yield { kind: 'entry', path: below, node: entry.node, stat: await tree.stat(entry.node, { signal }) }
    } catch (error) {
      signal.throwIfAborted()
      yield { kind: 'error', path: below, error }
    }
  }
}

const print = async (invocation: Invocation, named: NamedTree, item: WalkItem): Promise<void> => {
  const { terminal, signal } = invocation
  try {
    if (item.kind === 'error') throw item.error
    const volume = named.volumeOf(item.node)
    const options = { volume, isHashed: isGiven(invocation, 'hash'), hasXattrs: terminal.isJson, signal }
    const row = await entryRow(named.tree, item, options)
    terminal.emit(row)
    if (!terminal.isJson) terminal.say(describeEntry(row))
  } catch (error) {
    signal.throwIfAborted()
    if (!isGranaryError(error)) throw error
    const { text } = item.path
    const pathHex =
      item.path.bytes === undefined ? {} : { pathHex: Buffer.from(bytesOfName(item.path)).toString('hex') }
    terminal.warn(`${displayName(text)}: ${error.message}`, { path: text, ...pathHex, code: error.code })
  }
}
