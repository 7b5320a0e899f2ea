import { formatBytes } from '@granary/core'
import { mapLikeQemuImg } from '@granary/qcow2'
import { listOption, textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { BACKING_OPTIONS } from '../disks/image-file.ts'
import { openReader } from '../disks/open-source.ts'
import { lazyRepository } from '../lazy-repository.ts'

export const map: Command = {
  name: 'map',
  summary: 'show which ranges of a disk have data, with the fields of `qemu-img map --output=json`',
  arguments: [{ name: '<DISK>', description: 'what to read, as for backup' }],
  options: [...BACKING_OPTIONS],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = lazyRepository(invocation)
    const { disk } = await openReader(textArgument(invocation, 0), {
      terminal,
      signal,
      openRepository: async () => await repository.open(),
      allowBacking: listOption(invocation, 'allowBacking'),
      noBacking: invocation.options['backing'] === false,
    })
    await using _ = disk
    for await (const entry of mapLikeQemuImg(disk.extents({ signal }))) {
      terminal.emit(entry)
      const kind = entry.data ? 'data' : entry.present ? 'zero' : 'hole'
      terminal.say(`${String(entry.start).padStart(16)}  ${formatBytes(entry.length).padStart(9)}  ${kind}`)
    }
    return 0
  },
}
