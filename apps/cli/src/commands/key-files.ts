/** Commands about the files that hold keys: they need no repository. @module */
import { rm, writeFile } from 'node:fs/promises'
import { GranaryError, fromSystemError } from '@granary/core'
import {
  createKeyFile,
  createKeyPair,
  formatKeyPage,
  parseKeyPage,
  privateKeyToPem,
  publicKeyToPem,
  writeSecretFile,
} from '@granary/transform'
import { isGiven, textArgument } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { readText } from '../read-text.ts'
import { keyFileSecret, namedSecret } from '../secrets.ts'

const create: Command = {
  name: 'key create',
  summary: 'make a key file of 32 random bytes, or a pair of keys for escrow',
  arguments: [{ name: '<FILE>', description: 'new file, for its owner only' }],
  options: [
    {
      flags: '--escrow',
      description: 'an X25519 pair as PEM instead: FILE is the private key, FILE.pub the public one',
    },
  ],
  examples: [
    'granary key create /root/granary.key',
    'granary key create --escrow escrow.pem   # keep escrow.pem in a safe; `granary key add --new-escrow escrow.pem.pub`',
  ],
  async run(invocation) {
    const { terminal } = invocation
    const path = textArgument(invocation, 0)
    if (isGiven(invocation, 'escrow')) {
      const publicPath = await createEscrowPair(path)
      terminal.emit({ type: 'keyFile', v: 1, kind: 'escrow', path, publicPath })
      terminal.say(`made the private key ${path}: whoever has it can read what its slot opens. Keep it away from here.`)
      terminal.say(`made the public key ${publicPath}: granary key add --new-escrow ${publicPath}`)
      return 0
    }
    await createKeyFile(path)
    terminal.emit({ type: 'keyFile', v: 1, kind: 'key-file', path })
    terminal.say(`made the key file ${path}. Keep a copy elsewhere, or print it: granary key export --key-file ${path}`)
    return 0
  },
}

const createEscrowPair = async (path: string): Promise<string> => {
  const { privateKey, publicKey } = createKeyPair()
  await writeSecretFile(path, Buffer.from(privateKeyToPem(privateKey)))
  const publicPath = `${path}.pub`
  try {
    await writeFile(publicPath, publicKeyToPem(publicKey), { flag: 'wx', mode: 0o644 })
  } catch (error) {
    await rm(path, { force: true }) // Half a pair is of no use to anybody.
    throw fromSystemError(error, `writing ${publicPath}`)
  }
  return publicPath
}

const exportKey: Command = {
  name: 'key export',
  summary: 'print the key file as a page to keep on paper, with a checksum for each line',
  options: [{ flags: '--hex', description: 'as 64 hexadecimal digits instead' }],
  async run(invocation) {
    const { terminal } = invocation
    const { path, key } = await namedKeyFile(invocation)
    const hex = Buffer.from(key).toString('hex')
    const lines = formatKeyPage(key)
    terminal.emit({ type: 'key', v: 1, hex, lines })
    if (isGiven(invocation, 'hex')) {
      terminal.say(hex)
      return 0
    }
    terminal.say(`# Granary key file ${path}`)
    terminal.say('# Whoever reads this page can read the backups. Without it, and without the file, nobody can.')
    terminal.say('#')
    for (const line of lines) terminal.say(line)
    terminal.say('#')
    terminal.say('# Each line: its number, 8 bytes, a checksum of both. Type them all, this one may be left out:')
    terminal.say('# granary key import PAGE FILE')
    return 0
  },
}

const namedKeyFile = async (invocation: Invocation): Promise<{ path: string; key: Uint8Array }> => {
  const named = namedSecret(invocation)
  if (named?.kind === 'key-file') {
    const { key } = await keyFileSecret(named.path, invocation.terminal)
    return { path: named.path, key }
  }
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'only a key file can be printed: a passphrase is in your head', {
    hint: 'give --key-file FILE; `granary key add --new-key-file FILE` makes one for this repository',
  })
}

const importKey: Command = {
  name: 'key import',
  summary: 'read a printed page, or 64 hexadecimal digits, back into a key file',
  arguments: [
    { name: '<PAGE>', description: 'file with the typed page, or - for standard input' },
    { name: '<FILE>', description: 'new key file, for its owner only' },
  ],
  examples: [
    'granary key import page.txt granary.key',
    'granary key import - granary.key   # type the page, end with Ctrl-D',
  ],
  async run(invocation) {
    const { terminal } = invocation
    const page = await readText(textArgument(invocation, 0), terminal)
    const path = textArgument(invocation, 1)
    await createKeyFile(path, parseKeyPage(page))
    terminal.emit({ type: 'keyFile', v: 1, kind: 'key-file', path })
    terminal.say(`made the key file ${path}: every line fits its checksum`)
    return 0
  },
}

export const keyFileCommands: readonly Command[] = [create, exportKey, importKey]
