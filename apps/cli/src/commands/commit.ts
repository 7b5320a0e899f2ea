import { GranaryError, openRawWriter } from '@granary/core'
import type { DiskWriter } from '@granary/core'
import { commitQcow2, openFileToRead, openFileToWrite, openQcow2Writer, readQcow2Info } from '@granary/qcow2'
import { isGiven, textArgument } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { lockFile } from '../disks/file-lock.ts'
import { BACKING_OPTIONS, imagePath, referencesOf } from '../disks/image-file.ts'

export const commit: Command = {
  name: 'commit',
  summary: 'write what a qcow2 image has into its backing file, and empty the image',
  arguments: [{ name: '<IMAGE>', description: 'qcow2:FILE' }],
  options: [{ flags: '--keep', description: 'leave the image as it is' }, ...BACKING_OPTIONS],
  examples: ['granary commit top.qcow2'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const path = imagePath(textArgument(invocation, 0))
    await using _ = await lockFile(path)
    const { location, format } = await findBacking(invocation, path)
    await using lock = await lockFile(location)
    await using target: DiskWriter =
      format === 'raw'
        ? await openRawWriter(location)
        : await openQcow2Writer(await openFileToWrite(location), {
            resolve: referencesOf(invocation, location),
            location,
          })
    void lock
    await commitQcow2(await openFileToWrite(path), target, { empty: !isGiven(invocation, 'keep'), signal })
    terminal.emit({ type: 'committed', v: 1, path, backing: location })
    terminal.say(`${path} is in ${location}`)
    return 0
  },
}

/** Where the backing file is, as far as the options allow it. */
const findBacking = async (
  invocation: Invocation,
  path: string,
): Promise<{ location: string; format: 'raw' | 'qcow2' }> => {
  const file = await openFileToRead(path)
  try {
    const { backing } = await readQcow2Info(file)
    if (backing === undefined)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} has no backing file`, { detail: { path } })
    const found = await referencesOf(invocation, path)({ kind: 'backing', ...backing, from: path })
    if ('disk' in found || found.location === undefined)
      throw new GranaryError('GRANARY_UNSUPPORTED', `${backing.name} is not a file`, { detail: { path } })
    await found.file[Symbol.asyncDispose]?.()
    return { location: found.location, format: found.format }
  } finally {
    await file[Symbol.asyncDispose]?.()
  }
}
