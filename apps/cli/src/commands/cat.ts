import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { DiskReader } from '@granary/core'
import { resolvePath } from '@granary/guestfs'
import { textArgument, textOption } from '../command.ts'
import type { Command } from '../command.ts'
import { parseGuestAddress } from '../guest/guest-address.ts'
import { GUEST_OPTIONS, openGuestDisks } from '../guest/open-disks.ts'
import { PATH_OPTION, openTree, pathOf, warnOf } from '../guest/open-trees.ts'

export const cat: Command = {
  name: 'cat',
  summary: 'write the content of a file inside disks to standard output',
  arguments: [{ name: '<DISK:VOLUME:/PATH>', description: 'as for ls; links are followed inside the guest' }],
  options: [
    { flags: '--stream <NAME>', description: 'a named stream of an NTFS file instead of its content' },
    PATH_OPTION,
    ...GUEST_OPTIONS,
  ],
  examples: ['granary cat web.qcow2:p1:/etc/fstab', 'granary cat granary:latest:guest:/C:/Users/anna/notes.txt'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const address = parseGuestAddress(textArgument(invocation, 0))
    await using guest = await openGuestDisks(invocation, address.disks)
    await using named = await openTree(invocation, guest.set, address)
    const node = await resolvePath(named.tree, pathOf(invocation, address), { signal, from: named.top })
    const stream = textOption(invocation, 'stream')
    const file = await named.tree.open(node, { signal, ...(stream === undefined ? {} : { stream }) })
    await writeContent(file, terminal.streams.stdout, signal)
    warnOf(invocation, named.tree.warnings, address.volume)
    return terminal.warnings > 0 ? 3 : 0
  },
}

const PIECE_BYTES = 1024 * 1024

const writeContent = async (file: DiskReader, out: Writable, signal: AbortSignal): Promise<void> => {
  for (let at = 0; at < file.sizeBytes; at += PIECE_BYTES) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, file.sizeBytes - at))
    await file.read(at, piece, { signal })
    if (!out.write(piece)) await once(out, 'drain', { signal })
  }
}
