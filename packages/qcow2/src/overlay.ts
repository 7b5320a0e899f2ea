/** Copy on write: a disk that can be written over one that cannot. What is written is kept in an image; the base never changes. @module */
import { GranaryError } from '@granary/core'
import type { DiskReader, DiskWriter } from '@granary/core'
import { createQcow2 } from './create.ts'
import { readQcow2Info } from './info.ts'
import { openQcow2Writer } from './open-writer.ts'
import type { WritableFile } from './random-file.ts'

export interface OverlayOptions {
  /** Shown wherever nothing was written. The caller closes it, after the overlay. */
  readonly base: DiskReader
  /** How the image names its base: kept in it, and compared when it is opened again. */
  readonly backing: { readonly name: string; readonly format: 'raw' | 'qcow2' }
}

/**
 * Opens the overlay in `file`, or makes it where the file is empty. Reads and writes may come at once, in any order:
 * those that touch one cluster wait for each other. Closes `file` with the disk, and when opening fails.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the file holds an overlay of another disk; else as `openQcow2Writer`
 */
export const openOverlay = async (
  file: WritableFile,
  { base, backing }: OverlayOptions,
): Promise<DiskReader & DiskWriter> => {
  try {
    if (file.sizeBytes === 0) await createQcow2(file, { sizeBytes: base.sizeBytes, backing })
    else await checkBase(file, base, backing.name)
  } catch (error) {
    await file[Symbol.asyncDispose]?.()
    throw error
  }
  return await openQcow2Writer(file, { backingDisk: borrowed(base), workers: 0 })
}

const checkBase = async (file: WritableFile, base: DiskReader, name: string): Promise<void> => {
  const { backing, sizeBytes } = await readQcow2Info(file)
  const expectedBytes = Math.ceil(base.sizeBytes / 512) * 512
  if (backing?.name === name && sizeBytes === expectedBytes) return
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `the overlay lies over ${backing?.name ?? 'nothing'} (${sizeBytes} bytes), not over ${name} (${expectedBytes} bytes)`,
    {
      detail: { base: backing?.name ?? '', sizeBytes, expected: name, expectedBytes },
      hint: 'give the disk it was made for, or another file for a new overlay',
    },
  )
}

/** A disk that somebody else closes. */
const borrowed = (disk: DiskReader): DiskReader => ({
  sizeBytes: disk.sizeBytes,
  blockBytes: disk.blockBytes,
  read: async (offset, target, options) => await disk.read(offset, target, options),
  extents: options => disk.extents(options),
  [Symbol.asyncDispose]: async () => undefined,
})
