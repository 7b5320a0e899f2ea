/** Commands about the key slots of a repository. @module */
import { stat } from 'node:fs/promises'
import { GranaryError } from '@granary/core'
import {
  addSlot,
  changePassphrase,
  listSlots,
  openRepository,
  removeSlot,
  rotateKeys,
  unlock,
} from '@granary/dedup-store'
import { createKeyFile, publicKeyFromPem, publicKeyOf } from '@granary/transform'
import type { NewSecret, Secret } from '@granary/transform'
import { isGiven, listOption, textArgument, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { KDF_OPTION, kdfOf } from '../kdf-option.ts'
import { openBackendOf, openRepositoryOf } from '../open-repository.ts'
import { readText } from '../read-text.ts'
import { keyFileSecret, readPasswordFile, readSecret } from '../secrets.ts'
import { formatTable } from '../terminal/table.ts'
import { keyFileCommands } from './key-files.ts'

const keyList: Command = {
  name: 'key list',
  summary: 'list the key slots: whatever opens one opens the repository',
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const slots = await listSlots(repository.context.backend, { signal })
    for (const { id, header } of slots) {
      const { kind, label, created, generation, kdf, publicKey } = header
      terminal.emit({
        type: 'slot',
        v: 1,
        id,
        kind,
        label,
        created,
        generation: generation ?? 1,
        ...(kdf === undefined ? {} : { kdf: kdf.name }),
        ...(publicKey === undefined ? {} : { publicKey: Buffer.from(publicKey).toString('hex') }),
      })
    }
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
  summary: 'add a key slot, for another key file or passphrase, or for escrow',
  options: [
    {
      flags: '--new-key-file <FILE>',
      description: 'key file of the new slot; made if it does not exist',
      values: 'file',
    },
    { flags: '--new-password-file <FILE>', description: 'file with the passphrase of the new slot', values: 'file' },
    {
      flags: '--new-escrow <FILE>',
      description: 'X25519 public key as PEM: whoever has the private key can open the repository',
      values: 'file',
    },
    { flags: '--label <TEXT>', description: 'what to call it' },
    KDF_OPTION,
  ],
  examples: ['granary key add --new-escrow escrow.pem.pub --label "safe of the notary"'],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using backend = await openBackendOf(invocation)
    const keyring = await unlock(backend, await readSecret(invocation), { signal })
    const secret = await newSecret(invocation)
    const label = textOption(invocation, 'label') ?? secret.kind
    const id = await addSlot(backend, keyring, secret, { label, ...kdfOf(invocation) })
    terminal.emit({ type: 'slot', v: 1, id, kind: secret.kind })
    terminal.say(`added key slot ${id} (${secret.kind})`)
    return 0
  },
}

const newSecret = async (invocation: Invocation): Promise<NewSecret> => {
  const { terminal } = invocation
  const keyFile = textOption(invocation, 'newKeyFile')
  const passwordFile = textOption(invocation, 'newPasswordFile')
  const escrow = textOption(invocation, 'newEscrow')
  if ([keyFile, passwordFile, escrow].filter(given => given !== undefined).length !== 1) {
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      'expected one of --new-key-file FILE, --new-password-file FILE and --new-escrow FILE',
    )
  }
  if (escrow !== undefined) return { kind: 'escrow', publicKey: publicKeyFromPem(await readText(escrow, terminal)) }
  if (passwordFile !== undefined)
    return { kind: 'passphrase', passphrase: await readPasswordFile(passwordFile, terminal) }
  const path = keyFile as string
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  return isThere ? await keyFileSecret(path, terminal) : { kind: 'key-file', key: await createKeyFile(path) }
}

const keyRemove: Command = {
  name: 'key remove',
  summary: 'remove a key slot; the last one stays',
  arguments: [{ name: '<ID>', description: 'id of the slot, as `granary key list` shows it' }],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using backend = await openBackendOf(invocation)
    await unlock(backend, await readSecret(invocation), { signal })
    const id = textArgument(invocation, 0)
    await removeSlot(backend, id, { signal })
    terminal.emit({ type: 'removed', v: 1, id })
    terminal.say(`removed key slot ${id}`)
    return 0
  },
}

const keyPasswd: Command = {
  name: 'key passwd',
  summary: 'change a passphrase; no data is touched',
  options: [
    { flags: '--new-password-file <FILE>', description: 'file with the new passphrase', values: 'file' },
    KDF_OPTION,
  ],
  examples: ['granary key passwd --password-file old --new-password-file new'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const path = textOption(invocation, 'newPasswordFile')
    if (path === undefined) throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'expected --new-password-file FILE')
    const before = await readSecret(invocation)
    if (before.kind !== 'passphrase') {
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `expected the old passphrase, got a ${before.kind}`, {
        hint: 'give --password-file FILE with the passphrase to change; `granary key add` adds one',
      })
    }
    await using backend = await openBackendOf(invocation)
    const after = { kind: 'passphrase', passphrase: await readPasswordFile(path, terminal) } as const
    const { added, removed } = await changePassphrase(backend, { before, after }, { signal, ...kdfOf(invocation) })
    terminal.emit({ type: 'slot', v: 1, id: added, kind: 'passphrase' })
    terminal.emit({ type: 'removed', v: 1, id: removed })
    terminal.say(`the passphrase is changed: slot ${added} took the place of ${removed}`)
    return 0
  },
}

const keyRotate: Command = {
  name: 'key rotate',
  summary: 'new keys for everything stored from now on; what is there stays readable',
  options: [
    {
      flags: '--keep-key-file <FILE>',
      description: 'key file of another slot that stays',
      values: 'file',
      isRepeated: true,
    },
    {
      flags: '--keep-password-file <FILE>',
      description: 'file with the passphrase of another slot that stays',
      values: 'file',
      isRepeated: true,
    },
    {
      flags: '--keep-escrow <FILE>',
      description: 'public key of an escrow slot that stays',
      values: 'file',
      isRepeated: true,
    },
    { flags: '--remove-others', description: 'remove the slots whose secret was not given' },
  ],
  examples: ['granary key rotate --key-file granary.key --keep-escrow escrow.pem.pub'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const own = await readSecret(invocation)
    await using repository = await openRepository(await openBackendOf(invocation), own, { signal })
    const keep = [keptAs(own), ...(await keptSecrets(invocation))]
    const report = await rotateKeys(repository, { keep, removeOthers: isGiven(invocation, 'removeOthers'), signal })
    const { generation, slots, removed } = report
    terminal.emit({ type: 'rotation', v: 1, generation, slots, removed: removed.map(({ id }) => id) })
    terminal.say(
      `new objects use generation ${generation} of the keys; ${slots.length} ${slots.length === 1 ? 'slot' : 'slots'} made anew`,
    )
    for (const { id, header } of removed) terminal.say(`removed key slot ${id} (${header.kind}, ${header.label})`)
    terminal.say('write-only clients need new files: granary client add')
    return 0
  },
}

const keptAs = (secret: Secret): NewSecret =>
  secret.kind === 'escrow' ? { kind: 'escrow', publicKey: publicKeyOf(secret.privateKey) } : secret

const keptSecrets = async (invocation: Invocation): Promise<NewSecret[]> => {
  const { terminal } = invocation
  const secrets: NewSecret[] = []
  for (const path of listOption(invocation, 'keepKeyFile')) secrets.push(await keyFileSecret(path, terminal))
  for (const path of listOption(invocation, 'keepPasswordFile'))
    secrets.push({ kind: 'passphrase', passphrase: await readPasswordFile(path, terminal) })
  for (const path of listOption(invocation, 'keepEscrow'))
    secrets.push({ kind: 'escrow', publicKey: publicKeyFromPem(await readText(path, terminal)) })
  return secrets
}

export const keyCommands: readonly Command[] = [keyList, keyAdd, keyRemove, keyPasswd, keyRotate, ...keyFileCommands]
