/** Chosen files as entries of an image. @module */
import type { AbortOptions } from '@granary/core'
import { splitPath, bytesOfName } from '@granary/guestfs'
import type { ExtractItem, ExtractStep } from '../items.ts'
import { contentOfDisk } from './content.ts'
import type { IsoEntry } from './entry.ts'

export interface IsoEntriesOptions extends AbortOptions {
  /** Takes what can't be told of. */
  readonly onError: (path: string, error: unknown) => void
}

/** Links are read now, contents when the image is written: the trees must stay open until then. Sockets are left out. */
export async function* isoEntriesOf(
  steps: AsyncIterable<ExtractStep>,
  { onError, signal }: IsoEntriesOptions,
): AsyncGenerator<IsoEntry, void, undefined> {
  for await (const step of steps) {
    try {
      if (step.kind === 'error') throw step.error
      if (step.stat.type === 'socket') continue
      yield await entryOf(step, { signal })
    } catch (error) {
      signal?.throwIfAborted()
      onError(step.path.text, error)
    }
  }
}

const entryOf = async ({ path, tree, node, stat, linkKey }: ExtractItem, options: AbortOptions): Promise<IsoEntry> => ({
  path: splitPath(bytesOfName(path)),
  stat,
  ...(linkKey === undefined ? {} : { linkKey }),
  ...(stat.type === 'symlink' ? { target: await tree.readlink(node, options) } : {}),
  ...(stat.type === 'file' ? { open: async opened => contentOfDisk(await tree.open(node, opened)) } : {}),
})
