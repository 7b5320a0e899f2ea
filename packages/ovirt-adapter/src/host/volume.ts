/** Volumes as files or devices of this host, read as disks. @module */
import { dirname } from 'node:path'
import { GranaryError, openRawReader } from '@granary/core'
import type { AbortOptions, DiskReader } from '@granary/core'
import { filesInFolder, openQcow2File } from '@granary/qcow2'

/**
 * Opens a volume and, for qcow2, the volumes below it, which on these platforms lie in the same folder.
 *
 * @param format as the platform states it: never guessed from the content, which belongs to the guest
 * @throws GranaryError `GRANARY_UNSUPPORTED` for another format; what opening the file throws
 */
export const openVolume = async (path: string, format: string, { signal }: AbortOptions = {}): Promise<DiskReader> => {
  signal?.throwIfAborted()
  if (format === 'raw') return await openRawReader(path)
  if (format === 'qcow2') return await openQcow2File(path, { resolve: filesInFolder([dirname(path)]) })
  throw new GranaryError('GRANARY_UNSUPPORTED', `${path} has the format ${format}`, {
    detail: { path, format },
    hint: 'only raw and qcow2 volumes are read; use the backup API of the engine',
  })
}
