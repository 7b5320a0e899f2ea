import { stat } from 'node:fs/promises'
import { GranaryError } from '@granary/core'
import { addSlot, listSlots, removeSlot, unlock } from '@granary/dedup-store'
import { blake3, createKeyFile } from '@granary/transform'
import type { Secret } from '@granary/transform'
import { textArgument, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { openBackendOf, openRepositoryOf } from '../open-repository.ts'
import { keyFileSecret, namedSecret, readPasswordFile, readSecret } from '../secrets.ts'
import { formatTable } from '../terminal/table.ts'

const keyList: Command = {
  name: 'key list',
  summary: 'list the key slots: whatever opens one opens the repository',
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const slots = await listSlots(repository.context.backend, { signal })
    for (const { id, header } of slots)
      terminal.emit({ type: 'slot', v: 1, id, kind: header.kind, label: header.label, created: header.created })
    terminal.say(
      formatTable(
        ['ID', 'KIND', 'CREATED', 'LABEL'],
        slots.map(({ id, header }) => [id, header.kind, header.created, header.label]),
      ),
    )
    return 0
  },
}

const keyAdd: Command = {
  name: 'key add',
  summary: 'add a key slot, for another key file or passphrase',
  options: [
    {
      flags: '--new-key-file <FILE>',
      description: 'key file of the new slot; made if it does not exist',
      values: 'file',
    },
    { flags: '--new-password-file <FILE>', description: 'file with the passphrase of the new slot', values: 'file' },
    { flags: '--label <TEXT>', description: 'what to call it' },
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using backend = await openBackendOf(invocation)
    const keyring = await unlock(backend, await readSecret(invocation), { signal })
    const secret = await newSecret(invocation)
    const id = await addSlot(backend, keyring, secret, { label: textOption(invocation, 'label') ?? secret.kind })
    terminal.emit({ type: 'slot', v: 1, id, kind: secret.kind })
    terminal.say(`added key slot ${id} (${secret.kind})`)
    return 0
  },
}

const newSecret = async (invocation: Invocation): Promise<Secret> => {
  const keyFile = textOption(invocation, 'newKeyFile')
  const passwordFile = textOption(invocation, 'newPasswordFile')
  if ((keyFile === undefined) === (passwordFile === undefined)) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'expected --new-key-file FILE or --new-password-file FILE')
  }
  if (passwordFile !== undefined)
    return { kind: 'passphrase', passphrase: await readPasswordFile(passwordFile, invocation.terminal) }
  const path = keyFile as string
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  return isThere ? await keyFileSecret(path, invocation.terminal) : { kind: 'key-file', key: await createKeyFile(path) }
}

const keyRemove: Command = {
  name: 'key remove',
  summary: 'remove a key slot; the last one stays',
  arguments: [{ name: '<ID>', description: 'id of the slot, as `granary key list` shows it' }],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const id = textArgument(invocation, 0)
    await removeSlot(repository.context.backend, id, { signal })
    terminal.emit({ type: 'removed', v: 1, id })
    terminal.say(`removed key slot ${id}`)
    return 0
  },
}

const LINE_BYTES = 8

const keyExport: Command = {
  name: 'key export',
  summary: 'print the key file as hexadecimal lines, each with a checksum, to keep on paper',
  async run(invocation) {
    const { terminal } = invocation
    const named = namedSecret(invocation)
    if (named?.kind !== 'key-file') {
      throw new GranaryError(
        'GRANARY_INVALID_ARGUMENT',
        'only a key file can be printed: a passphrase is in your head',
        {
          hint: 'give --key-file FILE; `granary key add --new-key-file FILE` makes one for this repository',
        },
      )
    }
    const secret = (await keyFileSecret(named.path, terminal)) as Extract<Secret, { kind: 'key-file' }>
    const lines: string[] = []
    for (let at = 0; at < secret.key.length; at += LINE_BYTES)
      lines.push(hexLine(secret.key.subarray(at, at + LINE_BYTES)))
    terminal.emit({ type: 'key', v: 1, hex: Buffer.from(secret.key).toString('hex'), lines })
    for (const line of lines) terminal.say(line)
    terminal.say('# 8 bytes a line; the last four digits are the first two bytes of their BLAKE3.')
    terminal.say('# Back to a file: take the first 16 digits of each line in order | xxd -r -p > granary.key')
    return 0
  },
}

/** `0011223344556677  a1b2`. */
const hexLine = (bytes: Uint8Array): string =>
  `${Buffer.from(bytes).toString('hex')}  ${Buffer.from(blake3(bytes).subarray(0, 2)).toString('hex')}`

export const keyCommands: readonly Command[] = [keyList, keyAdd, keyRemove, keyExport]
