import { formatBytes } from '@granary/core'
import { mapLikeQemuImg } from '@granary/qcow2'
import { textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { IMAGE_OPTIONS, imageOptionsOf } from '../disks/image-file.ts'
import { openReader } from '../disks/open-source.ts'
import { lazyRepository } from '../lazy-repository.ts'

export const map: Command = {
  name: 'map',
  summary: 'show which ranges of a disk have data, with the fields of `qemu-img map --output=json`',
  arguments: [{ name: '<DISK>', description: 'what to read, as for backup' }],
  options: IMAGE_OPTIONS,
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = lazyRepository(invocation)
    const { disk } = await openReader(textArgument(invocation, 0), {
      terminal,
      signal,
      openRepository: async () => await repository.open(),
      ...imageOptionsOf(invocation),
    })
    await using _ = disk
    for await (const entry of mapLikeQemuImg(disk.extents({ signal }), { compressed: true })) {
      terminal.emit(entry)
      const kind = entry.data ? 'data' : entry.present ? 'zero' : 'hole'
      terminal.say(`${String(entry.start).padStart(16)}  ${formatBytes(entry.length).padStart(9)}  ${kind}`)
    }
    return terminal.warnings > 0 ? 3 : 0
  },
}
