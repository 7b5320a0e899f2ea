/** How long an archive is at most, without reading the content of a file: for targets that must know their size before. @module */
import type { AbortOptions } from '@granary/core'
import { bytesOfName } from '@granary/guestfs'
import type { ExtractItem, ExtractStep } from '../items.ts'
import { BLOCK_BYTES } from './header.ts'

/** Of one record: its length, blanks, keyword, and what else there is besides names and values. */
const RECORD_BYTES = 40

/** Times, owners, sizes, the character set. */
const FIXED_RECORDS = 6

const inBlocks = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES

/** For `writeTar` with `sparse: false` over the same steps. What fails here is left out there, too. */
export const boundTar = async (steps: AsyncIterable<ExtractStep>, options: AbortOptions = {}): Promise<number> => {
  let bytes = 2 * BLOCK_BYTES
  for await (const step of steps) {
    options.signal?.throwIfAborted()
    if (step.kind === 'entry') bytes += await boundMember(step, options)
  }
  return bytes
}

const boundMember = async ({ path, tree, node, stat }: ExtractItem, options: AbortOptions): Promise<number> => {
  // The name of another link of the file may stand there instead of its content: paths have at most 4096 bytes as links do.
  const names = bytesOfName(path).length + 1 + MAX_LINK_BYTES
  const xattrs = await tree.xattrs(node, options).catch(() => [])
  const attributes = xattrs.reduce(
    (sum, { name, value }) => sum + RECORD_BYTES + bytesOfName(name).length + value.length,
    0,
  )
  const records = names + attributes + (FIXED_RECORDS + 2) * RECORD_BYTES
  return 2 * BLOCK_BYTES + inBlocks(records) + inBlocks(stat.type === 'file' ? stat.sizeBytes : 0)
}

/** The path of the first name of a linked file, or the target of a link: as long as one path of this tree can be. */
const MAX_LINK_BYTES = 4096
