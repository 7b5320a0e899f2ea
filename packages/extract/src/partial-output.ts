/** A new file that is complete or not there. @module */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { giveName } from './give-name.ts'
import { onTarget } from './report.ts'
import type { TarSink } from './tar/tar-sink.ts'

export interface PartialOutput extends TarSink, AsyncDisposable {
  truncate(position: number): Promise<void>
  /** Makes it durable and gives it its name. @throws GranaryError `GRANARY_EXISTS` when one of that name came meanwhile */
  publish(): Promise<void>
}

/**
 * Begins a file that is to be `path` once it is published; disposed of before that, nothing of it stays.
 *
 * @throws GranaryError `GRANARY_EXISTS`
 */
export const createPartialOutput = async (path: string): Promise<PartialOutput> => {
  const isThere = await lstat(path).then(
    () => true,
    () => false,
  )
  if (isThere)
    throw new GranaryError('GRANARY_EXISTS', `${path} exists already`, {
      detail: { path },
      hint: 'give another name, or remove it first',
    })
  const partial = `${path}.granary-partial-${randomBytes(6).toString('hex')}`
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants
  const handle = await onTarget(`making ${partial}`, () =>
    open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
  )
  let position = 0
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close()
    isOpen = false
  }
  return {
    get position() {
      return position
    },
    async write(bytes: Bytes) {
      await onTarget(`writing ${partial}`, async () => {
        for (let done = 0; done < bytes.length;)
          done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
      })
      position += bytes.length
    },
    async truncate(wanted) {
      await onTarget(`shortening ${partial}`, () => handle.truncate(wanted))
      position = wanted
    },
    async publish() {
      await onTarget(`writing ${partial}`, () => handle.sync())
      await onTarget(`naming ${path}`, async () => await giveName(partial, path))
      await close()
      await onTarget(`naming ${path}`, async () => {
        await using folder = await open(dirname(path), constants.O_RDONLY)
        await folder.sync()
      })
    },
    async [Symbol.asyncDispose]() {
      if (isOpen) await unlink(partial).catch(() => undefined)
      await close()
    },
  }
}
