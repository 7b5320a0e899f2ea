/**
 * Where the file backend keeps things: `a/b/c` in the file `a/b/c` under its folder, except that what begins with `packs/` is spread over
 * sub-folders named after the first two characters that follow (`packs/7f3c-1` in `packs/7f/7f3c-1`), since some file systems slow down
 * with very many names in one folder. Names with a leading dot are never objects.
 *
 * @see docs/formats/repository.md, section "On local files"
 * @module
 */
import { randomBytes } from 'node:crypto'

/** Folder of the locks of living writers, under the backend's own. */
export const LOCKS_FOLDER = '.locks'

const SPREAD = 'packs/'
const SPREAD_CHARACTERS = 2
/** Stands for `/` in the name of a sub-folder; no key has it. */
const SLASH = '_'

const TEMPORARY = /^\.tmp-([a-z0-9-]*)-[0-9a-f]{16}$/

/** Path of an object under the backend's folder. */
export const pathOfKey = (key: string): string => {
  if (!key.startsWith(SPREAD)) return key
  const spread = key.slice(SPREAD.length, SPREAD.length + SPREAD_CHARACTERS).replace('/', SLASH)
  return `${SPREAD}${spread}/${key.slice(SPREAD.length)}`
}

/** True for the folder whose sub-folders are not part of keys; `keyOfFolder` ends in `/`, or is empty for the root. */
export const isSpread = (keyOfFolder: string): boolean => keyOfFolder === SPREAD

/** What all keys in a sub-folder of a spread folder begin with, after that folder's own key. */
export const startOfSpread = (name: string): string => name.replace(SLASH, '/')

/** A new name for a file that is being written by `owner`. */
export const temporaryName = (owner: string): string => `.tmp-${owner}-${randomBytes(8).toString('hex')}`

/** The owner in the name of a temporary file; undefined when it is none. */
export const ownerOfTemporary = (name: string): string | undefined => TEMPORARY.exec(name)?.[1]

/** Parent of a path; '' for what lies in the root. */
export const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))
