/** Programs of others that tests hold the command line against. */
import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Why a test is skipped: the first of the programs that is missing. */
export const whyNo = (...programs: readonly string[]): string | false => {
  const missing = programs.find(program => spawnSync(program, ['--version']).error !== undefined)
  return missing === undefined ? false : `needs ${missing}`
}

/** Resolves once somebody accepts connections at a socket: its file is there a moment before. */
export const untilListening = async (path: string): Promise<void> => {
  for (;;) {
    const socket = connect(path)
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isThere) return
    await setTimeout(20)
  }
}

/** Runs a program beside the test's own event loop. @returns its standard output */
export const peer = async (program: string, ...words: readonly string[]): Promise<string> =>
  (await run(program, words, { encoding: 'utf8' })).stdout
