/** How what we make on an engine tells whose it is. @module */
import type { Journal } from '../journal/journal.ts'

const MARK = 'granary'

/**
 * The description of a backup and of its checkpoint: installation, repository and run, for the engine to keep and for people
 * to see.
 *
 * @param note what makes it unique in its run
 */
export const describeOwner = (
  { installation, run }: Pick<Journal, 'installation' | 'run'>,
  repositoryId: string,
  note: string,
): string => `${prefixOf(installation, repositoryId)}${run} ${note}`

/**
 * Whether it was made by this installation, in whatever run.
 *
 * @param repositoryId undefined: for whatever repository
 */
export const isOwn = (
  { installation }: Pick<Journal, 'installation'>,
  repositoryId: string | undefined,
  description: string,
): boolean => description.startsWith(prefixOf(installation, repositoryId))

const prefixOf = (installation: string, repositoryId?: string): string =>
  `${MARK} ${installation} ${repositoryId === undefined ? '' : `${repositoryId.slice(0, 8)} `}`
