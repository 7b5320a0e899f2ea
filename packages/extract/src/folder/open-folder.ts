/**
 * A folder that is open: what is in it is reached through its descriptor, never through its path, so that nobody who
 * swaps a folder on the way for a link can lead a write out of the target.
 *
 * Node has no `openat`; Linux gives the same through `/proc/self/fd/N/NAME`, which begins at the open folder itself.
 *
 * @see proc(5), openat(2)
 * @module
 */
import { constants } from 'node:fs'
import { lstat, mkdir, open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { onTarget } from '../report.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/** Gives a handle on a file without opening it: a device or a FIFO stays untouched. open(2), fixed by Linux. */
const O_PATH = 0o10_000_000

export interface OpenFolder extends AsyncDisposable {
  readonly fd: number
  readonly handle: FileHandle
  /** A path of a file in it. The name is one that `targetNames` gave. */
  at(name: Bytes): Buffer
  /** A folder in it; a link is none. @throws GranaryError when it is something else */
  enter(name: Bytes): Promise<OpenFolder>
  /** The same, made where it isn't there yet: until all is in it, only for ourselves. */
  make(name: Bytes): Promise<OpenFolder>
  /** A file in it that is not opened, whatever it is: its attributes are reached by `/proc/self/fd`. */
  reach(name: Bytes): Promise<FileHandle>
}

/** @param path the target, as the user named it; links in it are followed */
export const openFolder = async (path: string): Promise<OpenFolder> => {
  if (process.platform !== 'linux')
    throw new GranaryError('GRANARY_UNSUPPORTED', `extracting to a folder needs Linux, this is ${process.platform}`, {
      hint: 'extract to F.tar instead',
    })
  const what = `opening the folder ${path}`
  const folder = folderOf(await onTarget(what, () => open(path, O_RDONLY | O_DIRECTORY)))
  try {
    await onTarget('reading /proc/self/fd, which must be mounted', () => lstat(pathOf(folder.fd)))
    return folder
  } catch (error) {
    await folder[Symbol.asyncDispose]()
    throw error
  }
}

/** A path of what is open. */
export const pathOf = (fd: number): string => `/proc/self/fd/${fd}`

const folderOf = (handle: FileHandle): OpenFolder => {
  const at = (name: Bytes): Buffer => Buffer.concat([Buffer.from(`${pathOf(handle.fd)}/`), name])
  const enter = async (name: Bytes): Promise<OpenFolder> =>
    folderOf(
      await onTarget(`opening the folder ${shown(name)}`, () => open(at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)),
    )
  return {
    fd: handle.fd,
    handle,
    at,
    enter,
    async make(name) {
      await onTarget(`making the folder ${shown(name)}`, async () => {
        try {
          await mkdir(at(name), 0o700)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        }
      })
      return await enter(name)
    },
    reach: async name => await onTarget(`reaching ${shown(name)}`, () => open(at(name), O_PATH | O_NOFOLLOW)),
    [Symbol.asyncDispose]: async () => await handle.close(),
  }
}

const shown = (name: Bytes): string => Buffer.from(name).toString('utf8')
