/** Programs of others that tests hold the command line against. */
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Why a test is skipped: the first of the programs that is missing. */
export const whyNo = (...programs: readonly string[]): string | false => {
  const missing = programs.find(program => spawnSync(program, ['--version']).error !== undefined)
  return missing === undefined ? false : `needs ${missing}`
}

/** Runs a program beside the test's own event loop. @returns its standard output */
export const peer = async (program: string, ...words: readonly string[]): Promise<string> =>
  (await run(program, words, { encoding: 'utf8' })).stdout
