/**
 * Where the platform keeps volumes on a host.
 *
 * @see vdsm.git lib/vdsm/storage/fileSD.py and sd.py: `<pool of mounts>/<server and path>/<domain>/images/<disk>/<volume>`
 * @module
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError, fromSystemError } from '@granary/core'
import type { AbortOptions } from '@granary/core'

/** Ids of a volume as the engine gives them. */
export interface VolumeIds {
  readonly storageDomain: string
  readonly disk: string
  /** `image_id` of the disk: its topmost volume. */
  readonly volume: string
}

export interface StoragePathOptions extends AbortOptions {
  /** @default '/rhev/data-center' */
  readonly root?: string
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * Finds a volume of a file-based storage domain that is mounted here.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when no mount of this host has the domain or the volume: block storage is never
 * touched from here, its logical volumes belong to the platform
 */
export const findVolume = async (ids: VolumeIds, options: StoragePathOptions = {}): Promise<string> => {
  for (const [name, id] of Object.entries(ids))
    if (!ID.test(id as string))
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${name}: expected an id, got ${JSON.stringify(id)}`)
  const domain = await findDomain(ids.storageDomain, options)
  const path = join(domain, 'images', ids.disk, ids.volume)
  if (await exists(path)) return path
  throw new GranaryError('GRANARY_NOT_FOUND', `the storage domain has no volume ${path}`, {
    detail: { path, ...ids },
    retryable: true,
    hint: 'the disk may have been moved, or a snapshot made or removed meanwhile: run the backup again',
  })
}

/** The id names the domain: how the mount is named (server, path, `_` for `/`) need not be known. */
export const findDomain = async (
  id: string,
  { root = '/rhev/data-center', signal }: StoragePathOptions,
): Promise<string> => {
  const mounts = join(root, 'mnt')
  for (const folder of [mounts, join(mounts, 'glusterSD')])
    for (const mount of await list(folder)) {
      signal?.throwIfAborted()
      if (mount === 'blockSD' || mount === 'glusterSD') continue
      const path = join(folder, mount, id)
      if (await exists(join(path, 'dom_md'))) return path
    }
  throw new GranaryError('GRANARY_NOT_FOUND', `the storage domain ${id} is not mounted under ${mounts}`, {
    detail: { storageDomain: id, mounts },
    hint: 'read this disk through the engine (backup_using_ovirt_api yes), or run on a host that mounts the domain',
  })
}

const list = async (folder: string): Promise<string[]> => {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw fromSystemError(error, `looking for storage domains in ${folder}`)
  }
}

const exists = async (path: string): Promise<boolean> =>
  await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw fromSystemError(error, `looking at ${path}`)
    },
  )
