/** Programs of others that read what this package writes. @module */
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Why a test is skipped: the first of the programs that is missing. */
export const whyNo = (...programs: readonly string[]): string | false => {
  const missing = programs.find(program => spawnSync('which', [program]).status !== 0)
  return missing === undefined ? false : `needs ${missing}`
}

/** @returns its standard output as latin1, so that names of any bytes survive */
export const program = async (name: string, ...words: readonly string[]): Promise<string> =>
  (
    await run(name, words, {
      encoding: 'latin1',
      maxBuffer: 1 << 28,
      env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC' },
    })
  ).stdout
