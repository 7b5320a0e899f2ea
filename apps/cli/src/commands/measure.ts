import { formatBytes } from '@granary/core'
import { measureQcow2 } from '@granary/qcow2'
import { textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { IMAGE_OPTIONS, imageOptionsOf } from '../disks/image-file.ts'
import { openReader } from '../disks/open-source.ts'
import { lazyRepository } from '../lazy-repository.ts'

export const measure: Command = {
  name: 'measure',
  summary: 'say how large a qcow2 image of a disk will be',
  arguments: [{ name: '<DISK>', description: 'what to read, as for backup' }],
  options: IMAGE_OPTIONS,
  examples: ['granary measure granary:latest/web'],
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
    const sizes = await measureQcow2({ sizeBytes: disk.sizeBytes, extents: disk.extents({ signal }) })
    terminal.emit({ type: 'measure', v: 1, ...sizes })
    terminal.say(`required size: ${formatBytes(sizes.requiredBytes)} (${sizes.requiredBytes})`)
    terminal.say(`fully allocated size: ${formatBytes(sizes.fullyAllocatedBytes)} (${sizes.fullyAllocatedBytes})`)
    return terminal.warnings > 0 ? 3 : 0
  },
}
