/** qcow2 images on the command line: the options that say what may be read, and the image that a command changes. @module */
import { dirname } from 'node:path'
import { GranaryError } from '@granary/core'
import type { ResolveReference } from '@granary/qcow2'
import { isGiven, listOption, textOption } from '../command.ts'
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

/** For commands that read images. */
export const IMAGE_OPTIONS: readonly OptionRow[] = [
  ...BACKING_OPTIONS,
  {
    flags: '--lenient',
    description: 'read a damaged qcow2 image as QEMU does: what lies past the end of the file is zeros',
  },
  {
    flags: '--image-snapshot <NAME>',
    description: 'the internal snapshot of this id or name in a qcow2 image, instead of its active disk',
  },
]

/** How images are opened to be read. */
export interface ImageOptions {
  /** Folders besides the image's own whose files it may name. @default none */
  readonly allowBacking?: readonly string[]
  /** Refuses images that name other files. @default false */
  readonly noBacking?: boolean
  /** Takes what lies past the end of the file for zeros. @default false */
  readonly isLenient?: boolean
  /** Id or name of the internal snapshot to read. @default the active disk */
  readonly imageSnapshot?: string | undefined
}

/** What `IMAGE_OPTIONS` say. */
export const imageOptionsOf = (invocation: Invocation): Required<ImageOptions> => ({
  allowBacking: listOption(invocation, 'allowBacking'),
  noBacking: invocation.options['backing'] === false,
  isLenient: isGiven(invocation, 'lenient'),
  imageSnapshot: textOption(invocation, 'imageSnapshot'),
})

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the text names something else than a qcow2 image */
export const imagePath = (text: string): string => {
  const address = parseDiskAddress(text)
  if (address.kind === 'qcow2') return address.path
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text} is not called a qcow2 image`, {
    hint: 'give qcow2:FILE, or a path that ends in .qcow2',
  })
}

/** The files that an image at `path` may name. */
export const resolverFor = (
  path: string,
  { allowBacking = [], noBacking = false }: Pick<ImageOptions, 'allowBacking' | 'noBacking'>,
): ResolveReference => {
  return async reference => {
    const { filesInFolder, refuseReferences } = await import('@granary/qcow2')
    const resolve = noBacking ? refuseReferences : filesInFolder([dirname(path), ...allowBacking])
    return await resolve(reference)
  }
}

/** The files that an image at `path` may name, as the options say. */
export const referencesOf = (invocation: Invocation, path: string): ResolveReference =>
  resolverFor(path, imageOptionsOf(invocation))
