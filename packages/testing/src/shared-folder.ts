/** The folder of large test material that lies beside a checkout, where there is one. @module */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const REPOSITORY_ROOT = fileURLToPath(new URL('../../../../', import.meta.url))

/** Absolute path of a file of this project. */
export const projectPath = (...parts: readonly string[]): string => join(REPOSITORY_ROOT, ...parts)

/** Absolute path of something in `../shared`, or undefined on a machine that lacks it: such a suite says so and is skipped. */
export const sharedPath = (...parts: readonly string[]): string | undefined => {
  const path = join(REPOSITORY_ROOT, '..', 'shared', ...parts)
  return existsSync(path) ? path : undefined
}
