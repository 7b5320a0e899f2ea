/** Gives a file its owners, mode, times and attributes, as far as this user may. @module */
import { chmod, chown, lchown, lutimes, utimes } from 'node:fs/promises'
import type { Bytes } from '@granary/core'
import { bytesOfName } from '@granary/guestfs'
import type { Stat, Xattr } from '@granary/guestfs'
import { fromSystemError, isGranaryError } from '@granary/core'
import type { Libc } from './libc.ts'
import type { OpenFolder } from './open-folder.ts'
import { pathOf } from './open-folder.ts'

export interface Place {
  readonly folder: OpenFolder
  readonly name: Bytes
  /** Of the file, opened or reached; a link has none, and is never followed. */
  readonly fd: number | undefined
}

export interface Attributes extends Pick<Stat, 'uid' | 'gid' | 'mode' | 'mtime' | 'atime'> {
  readonly xattrs: readonly Xattr[]
}

/** What could not be set. */
export interface Refused {
  owners: boolean
  mode: boolean
  xattrs: Xattr[]
}

/** Bits that give the rights of an owner: without that owner they would give those of somebody else. */
const SET_ID = 0o6000

/** These errors say: not for you, or not on this file system. */
const REFUSALS = [
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EINVAL',
  'ENOSYS',
  'ERANGE',
  'E2BIG',
  'ENOSPC',
  'ENODATA',
]

/**
 * In the order in which nothing undoes what came before: a change of owner clears bits of the mode and capabilities,
 * attributes of the user need a file that may be written, and everything moves the times.
 */
export const setAttributes = async (place: Place, attributes: Attributes, libc: Libc | undefined): Promise<Refused> => {
  const refused: Refused = { owners: false, mode: false, xattrs: [] }
  refused.owners = !(await setOwners(place, attributes))
  for (const xattr of attributes.xattrs) if (!(await setXattr(place, xattr, libc))) refused.xattrs.push(xattr)
  const { mode } = attributes
  if (mode !== undefined && place.fd !== undefined) {
    const { fd } = place
    const allowed = refused.owners ? mode & ~SET_ID : mode
    refused.mode = !(await isDone(() => chmod(pathOf(fd), allowed))) || allowed !== mode
  }
  await setTimes(place, attributes, libc)
  return refused
}

const setOwners = async ({ folder, name, fd }: Place, { uid, gid }: Attributes): Promise<boolean> => {
  if (uid === undefined || gid === undefined) return true
  return await isDone(() => (fd === undefined ? lchown(folder.at(name), uid, gid) : chown(pathOf(fd), uid, gid)))
}

const setXattr = async ({ folder, name, fd }: Place, xattr: Xattr, libc: Libc | undefined): Promise<boolean> => {
  if (libc === undefined) return false
  const key = bytesOfName(xattr.name)
  const path = fd === undefined ? folder.at(name) : Buffer.from(pathOf(fd))
  return await isDone(async () => libc.setXattr(path, key, xattr.value, fd !== undefined))
}

const setTimes = async (
  { folder, name, fd }: Place,
  { mtime, atime = mtime }: Attributes,
  libc: Libc | undefined,
): Promise<void> => {
  if (mtime === undefined || atime === undefined) return
  const [access, change] = [Number(atime) / 1e9, Number(mtime) / 1e9]
  await isDone(async () => {
    if (libc !== undefined) libc.setTimes(folder.fd, name, atime, mtime)
    else if (fd === undefined) await lutimes(folder.at(name), access, change)
    else await utimes(pathOf(fd), access, change)
  })
}

/** False when it is refused. */
const isDone = async (run: () => Promise<void>): Promise<boolean> => {
  try {
    await run()
    return true
  } catch (error) {
    const known = fromSystemError(error, 'setting attributes')
    if (isGranaryError(known) && REFUSALS.includes(String(known.detail['errno']))) return false
    throw known
  }
}
