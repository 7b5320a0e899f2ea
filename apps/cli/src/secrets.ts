/** Where the secret of a repository comes from: a file, named by a flag or the environment; a question only on a terminal. @module */
import { readFile, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { GranaryError, fromSystemError } from '@granary/core'
import { readKeyFile } from '@granary/transform'
import type { Secret } from '@granary/transform'
import { textOption } from './command.ts'
import type { Invocation } from './command.ts'
import type { Terminal } from './terminal/terminal.ts'

/** Which file holds the secret, if one was named. A flag beats the environment, also one of the other kind. */
export const namedSecret = (
  invocation: Pick<Invocation, 'options' | 'terminal'>,
): { kind: Secret['kind']; path: string } | undefined => {
  const { env } = invocation.terminal.streams
  const keyFile = textOption(invocation, 'keyFile')
  const passwordFile = textOption(invocation, 'passwordFile')
  if (keyFile !== undefined && passwordFile !== undefined) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', '--key-file and --password-file were both given', {
      hint: 'give one of them',
    })
  }
  if (keyFile !== undefined) return { kind: 'key-file', path: keyFile }
  if (passwordFile !== undefined) return { kind: 'passphrase', path: passwordFile }
  const [key, password] = [env['GRANARY_KEY_FILE'], env['GRANARY_PASSWORD_FILE']]
  if (key !== undefined && key !== '') return { kind: 'key-file', path: key }
  if (password !== undefined && password !== '') return { kind: 'passphrase', path: password }
  return undefined
}

/**
 * The secret that opens the repository.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when none is named and there is nobody to ask
 */
export const readSecret = async (invocation: Pick<Invocation, 'options' | 'terminal' | 'signal'>): Promise<Secret> => {
  const named = namedSecret(invocation)
  if (named === undefined) return { kind: 'passphrase', passphrase: await askPassphrase(invocation) }
  return named.kind === 'key-file'
    ? await keyFileSecret(named.path, invocation.terminal)
    : { kind: 'passphrase', passphrase: await readPasswordFile(named.path, invocation.terminal) }
}

export const keyFileSecret = async (path: string, terminal: Terminal): Promise<Secret> => {
  const { key, warning } = await readKeyFile(path)
  if (warning !== undefined) terminal.notice(warning)
  return { kind: 'key-file', key }
}

/** The first line, without its line end. */
export const readPasswordFile = async (path: string, terminal: Terminal): Promise<string> => {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0 && process.platform !== 'win32')
      terminal.notice(`${path} can be read by others; chmod 600 it`)
    const [line = ''] = (await readFile(path, 'utf8')).split(/\r?\n/)
    if (line !== '') return line
  } catch (error) {
    throw fromSystemError(error, `reading the passphrase from ${path}`)
  }
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `${path}: its first line, which should be the passphrase, is empty`,
    { detail: { path } },
  )
}

const askPassphrase = async ({ terminal, signal }: Pick<Invocation, 'terminal' | 'signal'>): Promise<string> => {
  const { stdin, stderr } = terminal.streams
  if ((stdin as { isTTY?: boolean }).isTTY !== true || stderr.isTTY !== true) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'no key and no passphrase were given', {
      hint: 'give --key-file FILE or --password-file FILE, or set GRANARY_KEY_FILE or GRANARY_PASSWORD_FILE',
    })
  }
  stderr.write('passphrase: ')
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: silent, terminal: true })
  try {
    return await lines.question('', { signal })
  } finally {
    lines.close()
    stderr.write('\n')
  }
}
