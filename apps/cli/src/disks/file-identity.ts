/** Which file a path leads to, so that nothing is written over what it is read from. @module */
import { fstat, stat } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { promisify } from 'node:util'

const statPath = promisify(stat)
const statDescriptor = promisify(fstat)

/** Equal for two names of one file, whatever links lie between; undefined when there is no such file. */
export const fileIdentity = async (file: string | number): Promise<string | undefined> => {
  try {
    return identityOf(
      typeof file === 'number' ? await statDescriptor(file, { bigint: true }) : await statPath(file, { bigint: true }),
    )
  } catch {
    return undefined // Whoever opens it next says why.
  }
}

/** A device has as many inodes as nodes were made for it: its number tells it. */
const identityOf = (stats: BigIntStats): string =>
  stats.isBlockDevice() ? `device:${stats.rdev}` : `${stats.dev}:${stats.ino}`
