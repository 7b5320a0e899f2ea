/** Writes one file into a folder: complete, or not there. @module */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { dataRangesOf, readPieces } from '../content.ts'
import { giveName } from '../give-name.ts'
import { onTarget } from '../report.ts'
import type { Place } from './attributes.ts'
import type { FileIdentity } from './link-table.ts'
import type { OpenFolder } from './open-folder.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants

export interface WriteFileOptions extends AbortOptions {
  readonly onBytes: (count: number) => void
  /** Called when the content is there, before the file gets its name. */
  readonly finish: (place: Place) => Promise<void>
}

/** @throws GranaryError `GRANARY_EXISTS` when something of that name is there, and what reading the file throws */
export const writeFile = async (
  folder: OpenFolder,
  name: Bytes,
  file: DiskReader,
  options: WriteFileOptions,
): Promise<FileIdentity> => {
  const shown = Buffer.from(name).toString('utf8')
  await refuseExisting(folder, name, shown)
  const partial = Buffer.from(`.granary-partial-${randomBytes(8).toString('hex')}`)
  await using handle = await onTarget(`making ${shown}`, () =>
    open(folder.at(partial), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
  )
  try {
    await writeContent(handle, file, shown, options)
    await options.finish({ folder, name: partial, fd: handle.fd })
    const { dev, ino } = await handle.stat()
    await onTarget(`naming ${shown}`, async () => await giveName(folder.at(partial), folder.at(name)))
    return { dev, ino }
  } catch (error) {
    await unlink(folder.at(partial)).catch(() => undefined)
    throw error
  }
}

/** Told before anything is read; that nothing is overwritten is `link`'s part. */
const refuseExisting = async (folder: OpenFolder, name: Bytes, shown: string): Promise<void> => {
  const isThere = await lstat(folder.at(name)).then(
    () => true,
    () => false,
  )
  if (isThere)
    throw new GranaryError('GRANARY_EXISTS', `${shown} exists already: it is not overwritten`, {
      detail: { name: shown },
      hint: 'extract to another folder, or remove it first',
    })
}

const writeContent = async (
  handle: FileHandle,
  file: DiskReader,
  shown: string,
  { signal, onBytes }: WriteFileOptions,
): Promise<void> => {
  const what = `writing ${shown}`
  if (file.sizeBytes > 0) await onTarget(what, () => handle.truncate(file.sizeBytes))
  for await (const { offset, bytes } of readPieces(file, dataRangesOf(file, { signal }), { signal })) {
    await onTarget(what, async () => {
      for (let done = 0; done < bytes.length;)
        done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
    })
    onBytes(bytes.length)
  }
}
