import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { GranaryError } from '@granary/core'
import { openFileToWrite, rebaseQcow2 } from '@granary/qcow2'
import { isGiven, textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { parseDiskAddress } from '../disks/disk-address.ts'
import { fileIdentity } from '../disks/file-identity.ts'
import { lockFile } from '../disks/file-lock.ts'
import { BACKING_OPTIONS, imageOptionsOf, imagePath, referencesOf } from '../disks/image-file.ts'
import { openReader } from '../disks/open-source.ts'
import { lazyRepository } from '../lazy-repository.ts'

export const rebase: Command = {
  name: 'rebase',
  summary: 'put a qcow2 image over another backing file; what it shows stays the same',
  arguments: [
    { name: '<IMAGE>', description: 'qcow2:FILE' },
    { name: '[BACKING]', description: 'raw:FILE or qcow2:FILE; without it, the image stands alone' },
  ],
  options: [
    {
      flags: '--unsafe',
      description: 'change the name and nothing else: for a backing file that was moved, and whose content is the same',
    },
    ...BACKING_OPTIONS,
  ],
  examples: ['granary rebase top.qcow2 raw:base.raw', 'granary rebase top.qcow2'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const path = imagePath(textArgument(invocation, 0))
    const given = invocation.arguments[1] as string | undefined
    const isUnsafe = isGiven(invocation, 'unsafe')
    const backing = given === undefined ? undefined : backingOf(given, path)
    await using repository = lazyRepository(invocation)
    await using _ = await lockFile(path)
    const source =
      given === undefined || isUnsafe
        ? undefined
        : await openReader(given, {
            terminal,
            signal,
            openRepository: async () => await repository.open(),
            ...imageOptionsOf(invocation),
          })
    try {
      const identity = await fileIdentity(path)
      if (identity !== undefined && source?.files.includes(identity) === true)
        throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} would be its own backing file`, {
          detail: { path },
        })
      await rebaseQcow2(await openFileToWrite(path), {
        resolve: referencesOf(invocation, path),
        location: path,
        backing,
        unsafe: isUnsafe,
        signal,
        ...(source === undefined ? {} : { newBacking: source.disk }),
      })
    } finally {
      await source?.disk[Symbol.asyncDispose]()
    }
    terminal.emit({ type: 'rebased', v: 1, path, backing: backing ?? null })
    terminal.say(`${path} ${backing === undefined ? 'stands alone' : `lies over ${backing.name}`}`)
    return 0
  },
}

/** Named from the image's own folder where it lies there, so that both can move together. */
const backingOf = (text: string, image: string): { name: string; format: 'raw' | 'qcow2' } => {
  const address = parseDiskAddress(text)
  if (address.kind !== 'raw' && address.kind !== 'qcow2')
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text}: a backing file is raw:FILE or qcow2:FILE`)
  const path = resolve(address.path)
  const way = relative(resolve(dirname(image)), path)
  const isInside = !way.startsWith('../') && !isAbsolute(way) && !way.includes(':')
  return { name: isInside ? way : path, format: address.kind }
}
