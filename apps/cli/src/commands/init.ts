import { rm, stat } from 'node:fs/promises'
import { GranaryError, isGranaryError } from '@granary/core'
import { initRepository } from '@granary/dedup-store'
import type { Backend } from '@granary/dedup-store'
import { createKeyFile } from '@granary/transform'
import type { NewSecret } from '@granary/transform'
import { textArgument } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { KDF_OPTION, kdfOf } from '../kdf-option.ts'
import { openBackendOf } from '../open-repository.ts'
import { keyFileSecret, namedSecret, readPasswordFile } from '../secrets.ts'
import { SETTINGS_OPTIONS, settingsOf } from '../settings-options.ts'

export const init: Command = {
  name: 'init',
  summary: 'make a repository',
  arguments: [{ name: '[REPO]', description: 'path or URL; an empty or missing folder' }],
  options: [...SETTINGS_OPTIONS, KDF_OPTION],
  examples: [
    'granary init /backup/repo --key-file /root/granary.key   # makes the key file if it does not exist',
    'granary init /backup/repo --password-file /root/granary.pass --compression zstd:9',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    const positional = textArgument(invocation, 0) as string | undefined
    await using backend = await openBackendOf(invocation, positional)
    const { secret, createdKeyFile } = await secretForInit(invocation)
    const config = await initRepository(backend, secret, {
      signal,
      ...settingsOf(invocation),
      slot: { label: 'first', ...kdfOf(invocation) },
    }).catch(async (error: unknown) => {
      if (createdKeyFile !== undefined && (await opensNothing(backend, error))) await rm(createdKeyFile)
      throw error
    })
    terminal.emit({
      type: 'repository',
      v: 1,
      id: config.id,
      location: backend.location,
      ...(createdKeyFile === undefined ? {} : { createdKeyFile }),
    })
    terminal.say(`made repository ${config.id.slice(0, 8)} at ${backend.location}`)
    if (createdKeyFile !== undefined) {
      terminal.say(
        `made the key file ${createdKeyFile}: without it nothing can be read. Keep a copy elsewhere, or print it:`,
      )
      terminal.say(`  granary key export --repo ${backend.location} --key-file ${createdKeyFile}`)
    }
    return 0
  },
}

/** A key file made for a repository that did not come to be must not lie about, looking like one that matters. */
const opensNothing = async (backend: Backend, error: unknown): Promise<boolean> => {
  if (isGranaryError(error) && error.code === 'GRANARY_EXISTS') return true // That repository has other keys.
  return await backend.stat('config').then(
    config => config === undefined,
    // Not even a folder; or not known, and then better a key too many.
    (cause: unknown) => isGranaryError(cause) && cause.code === 'GRANARY_NOT_FOUND',
  )
}

/** The key file is used if it exists, else made; a passphrase comes from its file. */
const secretForInit = async (invocation: Invocation): Promise<{ secret: NewSecret; createdKeyFile?: string }> => {
  const named = namedSecret(invocation)
  if (named === undefined || named.kind === 'client' || named.kind === 'escrow') {
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      'a repository needs a key: no key file and no passphrase was given',
      {
        hint: 'give --key-file FILE (made if it does not exist) or --password-file FILE',
      },
    )
  }
  if (named.kind === 'passphrase') {
    return { secret: { kind: 'passphrase', passphrase: await readPasswordFile(named.path, invocation.terminal) } }
  }
  if (await isThere(named.path)) return { secret: await keyFileSecret(named.path, invocation.terminal) }
  return { secret: { kind: 'key-file', key: await createKeyFile(named.path) }, createdKeyFile: named.path }
}

const isThere = async (path: string): Promise<boolean> =>
  await stat(path).then(
    () => true,
    () => false,
  )
