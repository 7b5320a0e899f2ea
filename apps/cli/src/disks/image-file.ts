/** The qcow2 image that a command changes. @module */
import { dirname } from 'node:path'
import { GranaryError } from '@granary/core'
import { filesInFolder, refuseReferences } from '@granary/qcow2'
import type { ResolveReference } from '@granary/qcow2'
import { listOption } from '../command.ts'
import type { Invocation, OptionRow } from '../command.ts'
import { parseDiskAddress } from './disk-address.ts'

export const BACKING_OPTIONS: readonly OptionRow[] = [
  {
    flags: '--allow-backing <DIR>',
    description: 'folder whose files a qcow2 image may name',
    values: 'file',
    isRepeated: true,
  },
  { flags: '--no-backing', description: 'refuse qcow2 images that name other files' },
]

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the text names something else than a qcow2 image */
export const imagePath = (text: string): string => {
  const address = parseDiskAddress(text)
  if (address.kind === 'qcow2') return address.path
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text} is not called a qcow2 image`, {
    hint: 'give qcow2:FILE, or a path that ends in .qcow2',
  })
}

/** The files that an image at `path` may name, as the options say. */
export const referencesOf = (invocation: Invocation, path: string): ResolveReference =>
  invocation.options['backing'] === false
    ? refuseReferences
    : filesInFolder([dirname(path), ...listOption(invocation, 'allowBacking')])
