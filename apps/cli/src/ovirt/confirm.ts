/** Asks before something is written over. @module */
import { createInterface } from 'node:readline/promises'
import { GranaryError } from '@granary/core'
import { isGiven } from '../command.ts'
import type { Invocation } from '../command.ts'

/**
 * Goes on when `--yes` was given, or somebody at a terminal says so.
 *
 * @throws GranaryError `GRANARY_ABORTED` when they don't; `GRANARY_INVALID_ARGUMENT` when nobody is there to ask
 */
export const confirm = async (invocation: Invocation, question: string): Promise<void> => {
  if (isGiven(invocation, 'yes')) return
  const { stdin, stderr } = invocation.terminal.streams
  if ((stdin as { isTTY?: boolean }).isTTY !== true || stderr.isTTY !== true) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${question} Nobody is there to ask`, {
      hint: '--yes answers it',
    })
  }
  const lines = createInterface({ input: stdin, output: stderr })
  try {
    const answer = await lines.question(`${question} Type yes to go on: `, { signal: invocation.signal })
    if (answer.trim() === 'yes') return
  } finally {
    lines.close()
  }
  throw new GranaryError('GRANARY_ABORTED', 'nothing was changed')
}
