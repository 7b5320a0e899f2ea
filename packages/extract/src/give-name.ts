/** The last step of a file that is complete or not there. @module */
import { link, rename, unlink } from 'node:fs/promises'

/** File systems that know no hard links say so by one of these. */
const NO_LINKS = ['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP', 'EMLINK']

/**
 * Renames a file, never over one that is there, where the file system has hard links.
 *
 * @throws a system error, `EEXIST` when there is one
 */
export const giveName = async (partial: string | Buffer, path: string | Buffer): Promise<void> => {
  try {
    await link(partial, path)
    await unlink(partial)
  } catch (error) {
    if (!NO_LINKS.includes(String((error as NodeJS.ErrnoException).code))) throw error
    await rename(partial, path)
  }
}
