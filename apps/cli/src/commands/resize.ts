import { formatBytes, parseBytes } from '@granary/core'
import { openFileToWrite, resizeQcow2 } from '@granary/qcow2'
import { isGiven, textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { lockFile } from '../disks/file-lock.ts'
import { BACKING_OPTIONS, imagePath, referencesOf } from '../disks/image-file.ts'

export const resize: Command = {
  name: 'resize',
  summary: 'make the disk in a qcow2 image larger or smaller',
  arguments: [
    { name: '<IMAGE>', description: 'qcow2:FILE' },
    { name: '<SIZE>', description: 'the new size, such as 40GiB; rounded up to 512 bytes' },
  ],
  options: [{ flags: '--shrink', description: 'cut off the end of the disk, if need be' }, ...BACKING_OPTIONS],
  examples: ['granary resize web.qcow2 40GiB'],
  async run(invocation) {
    const path = imagePath(textArgument(invocation, 0))
    const sizeBytes = Math.ceil(parseBytes(textArgument(invocation, 1)) / 512) * 512
    await using _ = await lockFile(path)
    await resizeQcow2(await openFileToWrite(path), sizeBytes, {
      resolve: referencesOf(invocation, path),
      location: path,
      shrink: isGiven(invocation, 'shrink'),
    })
    invocation.terminal.emit({ type: 'resized', v: 1, path, sizeBytes })
    invocation.terminal.say(`${path}: ${formatBytes(sizeBytes)}`)
    return 0
  },
}
