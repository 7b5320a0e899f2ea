/** Secrets that a configuration refers to: in a file, in the environment, or printed by a program. @module */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { GranaryError } from '@granary/core'
import type { ResolveSecret } from '@granary/ovirt-adapter'
import { readPasswordFile } from '../secrets.ts'
import type { Terminal } from '../terminal/terminal.ts'

const MOST_BYTES = 65_536
const TIMEOUT_MS = 60_000

export const resolveSecretFor =
  (terminal: Terminal): ResolveSecret =>
  async ({ kind, target }, { signal }) => {
    if (kind === 'file') return await readPasswordFile(target, terminal)
    if (kind === 'env') return fromEnvironment(terminal, target)
    return await fromCommand(target, signal)
  }

const fromEnvironment = (terminal: Terminal, name: string): string => {
  const value = terminal.streams.env[name]
  if (value !== undefined && value !== '') return value
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `the environment has no ${name}, which should hold the password`)
}

/** What it prints is never shown, not even when it fails. */
const fromCommand = async (command: string, signal: AbortSignal | undefined): Promise<string> => {
  try {
    const options = { maxBuffer: MOST_BYTES, timeout: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) }
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], options)
    return stdout.split(/\r?\n/)[0] ?? ''
  } catch (error) {
    signal?.throwIfAborted()
    const { code } = error as { code?: unknown }
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      `the command that should print the password failed (${String(code)})`,
      {
        hint: 'run it by hand as the same user',
      },
    )
  }
}
