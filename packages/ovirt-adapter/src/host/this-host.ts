/** Whether we run on a host of the platform, and on which. @module */
import { readFile } from 'node:fs/promises'
import { fromSystemError } from '@granary/core'

/**
 * The id that the engine's search knows this host by (`hosts?search=hw_id=ID`), or undefined when this is no host.
 *
 * @param path @default '/etc/vdsm/vdsm.id'
 * @throws GranaryError `GRANARY_PERMISSION` when the file cannot be read
 */
export const thisHostId = async (path = '/etc/vdsm/vdsm.id'): Promise<string | undefined> => {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw fromSystemError(error, `reading ${path}`)
  }
}
