/** Where the secret of a repository comes from: a file, named by a flag or the environment; a question only on a terminal. @module */
import { readFile, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { GranaryError, fromSystemError } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { Access } from '@granary/dedup-store'
import { privateKeyFromPem, readKeyFile } from '@granary/transform'
import type { Secret } from '@granary/transform'
import { textOption } from './command.ts'
import type { Invocation } from './command.ts'
import type { Terminal } from './terminal/terminal.ts'

/** How a repository is opened, and what says where that lies. A flag beats the environment, also one of another kind. */
const SOURCES = [
  { kind: 'key-file', option: 'keyFile', flag: '--key-file', variable: 'GRANARY_KEY_FILE' },
  { kind: 'passphrase', option: 'passwordFile', flag: '--password-file', variable: 'GRANARY_PASSWORD_FILE' },
  { kind: 'client', option: 'clientFile', flag: '--client-file', variable: 'GRANARY_CLIENT_FILE' },
  { kind: 'escrow', option: 'escrowFile', flag: '--escrow-file', variable: 'GRANARY_ESCROW_FILE' },
] as const

/** Which file opens the repository, if one was named. */
export const namedSecret = (
  invocation: Pick<Invocation, 'options' | 'terminal'>,
): { kind: Access['kind']; path: string } | undefined => {
  const { env } = invocation.terminal.streams
  const given = SOURCES.filter(({ option }) => textOption(invocation, option) !== undefined)
  const [first, second] = given
  if (first !== undefined && second !== undefined) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${first.flag} and ${second.flag} were both given`, {
      hint: 'give one of them',
    })
  }
  if (first !== undefined) return { kind: first.kind, path: textOption(invocation, first.option) as string }
  for (const { kind, variable } of SOURCES) {
    const path = env[variable]
    if (path !== undefined && path !== '') return { kind, path }
  }
  return undefined
}

/**
 * What opens the repository.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when nothing is named and there is nobody to ask
 */
export const readAccess = async (invocation: Pick<Invocation, 'options' | 'terminal' | 'signal'>): Promise<Access> => {
  const named = namedSecret(invocation)
  if (named?.kind === 'client') return { kind: 'client', file: await readSecretFile(named.path, invocation.terminal) }
  return await readSecret(invocation)
}

/**
 * The secret of a key slot, for what a write-only client can't do.
 *
 * @throws GranaryError as `readAccess`, and when a client's file was named
 */
export const readSecret = async (invocation: Pick<Invocation, 'options' | 'terminal' | 'signal'>): Promise<Secret> => {
  const named = namedSecret(invocation)
  const { terminal } = invocation
  switch (named?.kind) {
    case undefined:
      return { kind: 'passphrase', passphrase: await askPassphrase(invocation) }
    case 'key-file':
      return await keyFileSecret(named.path, terminal)
    case 'passphrase':
      return { kind: 'passphrase', passphrase: await readPasswordFile(named.path, terminal) }
    case 'escrow': {
      const pem = Buffer.from(await readSecretFile(named.path, terminal)).toString('utf8')
      return { kind: 'escrow', privateKey: privateKeyFromPem(pem) }
    }
    case 'client':
      throw new GranaryError(
        'GRANARY_WRONG_KEY',
        'this takes the key of the repository: a client file opens no key slot',
        {
          hint: 'give --key-file FILE or --password-file FILE',
        },
      )
  }
}

/** More than any client file or PEM holds. */
const MAX_SECRET_BYTES = 1024 * 1024

/** The bytes of a small secret file; a warning when others may read it. */
const readSecretFile = async (path: string, terminal: Terminal): Promise<Bytes> => {
  try {
    const { mode, size } = await stat(path)
    if ((mode & 0o077) !== 0 && process.platform !== 'win32')
      terminal.notice(`${path} can be read by others; chmod 600 it`)
    if (size <= MAX_SECRET_BYTES) return new Uint8Array(await readFile(path))
  } catch (error) {
    throw fromSystemError(error, `reading ${path}`)
  }
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is too large to be a secret`, { detail: { path } })
}

export const keyFileSecret = async (
  path: string,
  terminal: Terminal,
): Promise<Extract<Secret, { readonly kind: 'key-file' }>> => {
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
