import { stat, truncate } from 'node:fs/promises'
import { GranaryError, openRawWriter } from '@granary/core'
import type { DiskWriter } from '@granary/core'
import {
  commitQcow2,
  openFileToRead,
  openFileToWrite,
  openQcow2Writer,
  readQcow2Info,
  resizeQcow2,
} from '@granary/qcow2'
import type { OpenQcow2WriterOptions } from '@granary/qcow2'
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
    const { location, format, sizeBytes } = await findBacking(invocation, path)
    await using lock = await lockFile(location)
    void lock
    const options = { resolve: referencesOf(invocation, location), location }
    await growTo(sizeBytes, { location, format }, options)
    await using target: DiskWriter =
      format === 'raw' ? await openRawWriter(location) : await openQcow2Writer(await openFileToWrite(location), options)
    await commitQcow2(await openFileToWrite(path), target, { empty: !isGiven(invocation, 'keep'), signal })
    terminal.emit({ type: 'committed', v: 1, path, backing: location })
    terminal.say(`${path} is in ${location}`)
    return 0
  },
}

/** A backing file that is smaller than the disk that lies over it becomes as large. What is added reads as zeros. */
const growTo = async (
  sizeBytes: number,
  { location, format }: { readonly location: string; readonly format: 'raw' | 'qcow2' },
  options: OpenQcow2WriterOptions,
): Promise<void> => {
  if (format === 'raw') {
    if ((await stat(location)).size < sizeBytes) await truncate(location, sizeBytes)
    return
  }
  const backingBytes = await diskBytesOf(location)
  if (backingBytes < sizeBytes) await resizeQcow2(await openFileToWrite(location), sizeBytes, options)
}

const diskBytesOf = async (path: string): Promise<number> => {
  const file = await openFileToRead(path)
  try {
    return (await readQcow2Info(file)).sizeBytes
  } finally {
    await file[Symbol.asyncDispose]?.()
  }
}

/** Where the backing file is, as far as the options allow it. */
const findBacking = async (
  invocation: Invocation,
  path: string,
): Promise<{ location: string; format: 'raw' | 'qcow2'; sizeBytes: number }> => {
  const file = await openFileToRead(path)
  try {
    const { backing, sizeBytes } = await readQcow2Info(file)
    if (backing === undefined)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} has no backing file`, { detail: { path } })
    const found = await referencesOf(invocation, path)({ kind: 'backing', ...backing, from: path })
    if ('disk' in found || found.location === undefined)
      throw new GranaryError('GRANARY_UNSUPPORTED', `${backing.name} is not a file`, { detail: { path } })
    await found.file[Symbol.asyncDispose]?.()
    return { location: found.location, format: found.format, sizeBytes }
  } finally {
    await file[Symbol.asyncDispose]?.()
  }
}
