/** The file that keeps what is written to a served disk. @module */
import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { GranaryError, fromSystemError } from '@granary/core'
import type { DiskReader, DiskWriter } from '@granary/core'
import { openFileToWrite, openOverlay } from '@granary/qcow2'
import { parseDiskAddress } from '../disks/disk-address.ts'
import { fileIdentity } from '../disks/file-identity.ts'
import { lockFile } from '../disks/file-lock.ts'
import type { OpenSource } from '../disks/open-source.ts'

/**
 * Opens the overlay in the file at `path`, or makes it. It names its base as QEMU can open it, where QEMU can.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the file is the base, or holds something else than an overlay of it;
 *   `GRANARY_LOCKED` when another process has it
 */
export const openOverlayFile = async (
  path: string,
  base: OpenSource & { readonly disk: DiskReader },
): Promise<DiskReader & DiskWriter> => {
  await makeWhereNone(path)
  const identity = await fileIdentity(path)
  if (identity !== undefined && base.files.includes(identity))
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is what the disk is read from`, {
      detail: { path },
      hint: 'give another file for the overlay',
    })
  const lock = await lockFile(path)
  try {
    const file = await openFileToWrite(path)
    const disk = await openOverlay(file, { base: base.disk, backing: backingOf(base.source) })
    return {
      ...disk,
      async [Symbol.asyncDispose]() {
        try {
          await disk[Symbol.asyncDispose]()
        } finally {
          await lock[Symbol.asyncDispose]()
        }
      },
    }
  } catch (error) {
    await lock[Symbol.asyncDispose]()
    throw error
  }
}

/** Never over what is there: an empty file becomes an overlay, and anything else must be one. */
const makeWhereNone = async (path: string): Promise<void> => {
  try {
    await using _ = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fromSystemError(error, `creating ${path}`)
    if (!(await stat(path)).isFile())
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is no regular file`, { detail: { path } })
  }
}

/** QEMU opens files and exports by name. A stored disk's name it refuses, instead of showing zeros in its place. */
const backingOf = (source: string): { name: string; format: 'raw' | 'qcow2' } => {
  const address = parseDiskAddress(source)
  if (address.kind === 'raw' || address.kind === 'qcow2') return { name: resolve(address.path), format: address.kind }
  return { name: source, format: 'raw' }
}
