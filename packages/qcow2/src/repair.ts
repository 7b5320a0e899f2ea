/** Repairs what can be repaired without guessing: refcounts, and the flags that follow from them. @module */
import type { AbortOptions } from '@granary/core'
import { unsupported } from './format.ts'
import { readHeader } from './header.ts'
import { recount } from './image-editor.ts'
import { DEFAULT_CACHE_BYTES } from './open.ts'
import type { RandomFile, WritableFile } from './random-file.ts'

const COPY_BYTES = 1024 * 1024

/**
 * Copies an image into another file with its refcounts counted anew: leaks are gone, refcounts that were too small are
 * right, "copied" flags are right, and the dirty flag is cleared. The source is not changed. Closes neither file.
 *
 * @param target is overwritten
 * @throws GranaryError `GRANARY_CORRUPT` when there is damage beyond that: then nothing in `target` is of use;
 *   `GRANARY_UNSUPPORTED` for images of version 2 and those with a data file
 */
export const repairQcow2 = async (
  source: RandomFile,
  target: WritableFile,
  { signal }: AbortOptions = {},
): Promise<void> => {
  const header = await readHeader(source)
  if (header.version === 2 || header.hasDataFile)
    throw unsupported('images of version 2, or with a data file, are not repaired', { version: header.version })
  const buffer = new Uint8Array(COPY_BYTES)
  await target.truncate(0)
  await target.truncate(source.sizeBytes)
  for (let at = 0; at < source.sizeBytes; at += COPY_BYTES) {
    signal?.throwIfAborted()
    const part = buffer.subarray(0, Math.min(COPY_BYTES, source.sizeBytes - at))
    await source.read(at, part)
    await target.write(at, part)
  }
  const { editor, counts } = await recount(target, header, DEFAULT_CACHE_BYTES)
  const { clusterBytes } = editor.format
  for (let index = editor.tables.nextAllocated(0); index !== Infinity; index = editor.tables.nextAllocated(index + 1)) {
    signal?.throwIfAborted()
    if (!editor.tables.makeRoom()) await editor.persist()
    await editor.tables.fixCopied(index, offset => counts.get(offset / clusterBytes) === 1)
  }
  await editor.finish()
}
