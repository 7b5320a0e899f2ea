/** The folder everything is under, watched: a mount that comes and goes must never pass for an empty storage. @module */
import { GranaryError } from '@granary/core'
import type { FileSystemPort } from './file-system-port.ts'
import { systemCode, systemError } from './system-error.ts'

/**
 * A check that the folder is still the one it was when it was first looked at. To be made before anything is written, and before
 * anything is called missing: what is not listed gets deleted.
 *
 * @returns a function that rejects with GRANARY_NOT_FOUND when there never was such a folder, GRANARY_IO when it has gone or been replaced
 */
export const watchRoot = (fs: FileSystemPort, root: string): (() => Promise<void>) => {
  let known: string | undefined
  return async () => {
    const identity = await folderIdentity(fs, root)
    if (identity === undefined && known === undefined)
      throw new GranaryError('GRANARY_NOT_FOUND', `there is no folder ${root}`, { detail: { location: root } })
    known ??= identity
    if (identity !== known)
      throw new GranaryError('GRANARY_IO', `${root} is no longer the folder it was`, {
        detail: { location: root, isThere: identity !== undefined },
        hint: 'Check that the storage is mounted, then run the command again.',
      })
  }
}

const folderIdentity = async (fs: FileSystemPort, root: string): Promise<string | undefined> => {
  try {
    const { kind, identity } = await fs.stat(root)
    return kind === 'folder' ? identity : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw systemError(error, `cannot look at ${root}`)
  }
}

/** True when a path, or a folder on the way to it, does not exist. */
export const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')
