/**
 * Rotation: a new generation of the root key for everything that is stored from now on. What is there keeps its keys, and stays
 * readable with the new keyring.
 *
 * @see docs/security.md, "Keys", for what rotation does not do
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { verifySlot } from '@granary/transform'
import type { Keyring, NewSecret, SlotHeader } from '@granary/transform'
import type { Backend } from './backends/backend.ts'
import { CONFIG_KEY, encodeConfig, openSettings, readPublicConfig } from './config.ts'
import { repositoryKeys } from './format/repository-keys.ts'
import { addSlot, opens, readSlots, removeSlot } from './key-slots.ts'
import type { KeySlot } from './key-slots.ts'
import type { Repository } from './repository.ts'
import { requireHolder } from './require-holder.ts'
import { putHeld } from './sessions/put-held.ts'
import { signDecisions } from './sign-decisions.ts'

export interface RotateOptions extends AbortOptions {
  /** Secrets of the slots that stay; of escrow slots the public key. */
  readonly keep: readonly NewSecret[]
  /** Removes the slots that none of them opens. @default false: nothing is changed when there is one */
  readonly removeOthers?: boolean
}

export interface RotationReport {
  /** Of the new root key. */
  readonly generation: number
  /** Ids of the slots that were made anew. */
  readonly slots: readonly string[]
  /** Those that were there and that no secret was given for. */
  readonly removed: readonly KeySlot[]
}

/**
 * Makes a new generation of the root key. A slot can be made anew by its secret only, so the secrets of all that are to stay must
 * be given. Write-only clients need new files afterwards. At any instant, also after a power cut, the repository opens with what
 * is kept.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when a slot is left for which no secret was given, or none would stay
 */
export const rotateKeys = async (repository: Repository, options: RotateOptions): Promise<RotationReport> => {
  const { backend } = repository.context
  const { signal } = options
  const keyring = requireHolder(repository, 'rotate keys').rotated()
  const slots = await sortSlots(backend, options)
  await signDecisions(repository, { signal }) // So that every config from here on is signed by the generation it is of.
  const added: string[] = []
  for (const { slot, secret } of slots.kept) {
    const { label, kdf } = slot.header
    added.push(await addSlot(backend, keyring, secret, { label, ...(kdf === undefined ? {} : { kdf }) }))
  }
  await backend.sync({ signal }) // The config must open with what is there.
  await renewConfig(repository, keyring, signal)
  await backend.sync({ signal })
  for (const { slot } of slots.kept) await removeSlot(backend, slot.id, { signal })
  for (const { id } of slots.others) await removeSlot(backend, id, { signal })
  return { generation: keyring.current, slots: added, removed: slots.others }
}

interface SortedSlots {
  readonly kept: readonly { readonly slot: KeySlot; readonly secret: NewSecret }[]
  readonly others: readonly KeySlot[]
}

/** Which slots are renewed by which secret. */
const sortSlots = async (
  backend: Backend,
  { keep, removeOthers = false, signal }: RotateOptions,
): Promise<SortedSlots> => {
  const kept: { slot: KeySlot; secret: NewSecret }[] = []
  const others: KeySlot[] = []
  for await (const { id, bytes } of readSlots(backend, signal)) {
    const header = verifySlot(bytes)
    const secret = await secretOf(bytes, header, keep)
    if (secret === undefined) others.push({ id, header })
    else kept.push({ slot: { id, header }, secret })
  }
  if (kept.length === 0) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'no slot would stay: none of the secrets given opens one')
  }
  if (others.length === 0 || removeOthers) return { kept, others }
  const names = others.map(({ id, header }) => `${id} (${header.kind}, ${header.label})`).join(', ')
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `slots without their secret: ${names}`, {
    detail: { slots: others.map(({ id }) => id).join(', ') },
    hint: 'give their secrets with --keep-key-file, --keep-password-file or --keep-escrow, or remove them with --remove-others',
  })
}

const secretOf = async (
  bytes: Bytes,
  header: SlotHeader,
  secrets: readonly NewSecret[],
): Promise<NewSecret | undefined> => {
  for (const secret of secrets) {
    if (secret.kind !== header.kind) continue
    const isIts =
      secret.kind === 'escrow'
        ? Buffer.compare(secret.publicKey, header.publicKey ?? new Uint8Array()) === 0
        : await opens(bytes, secret)
    if (isIts) return secret
  }
  return undefined
}

/** The settings as they are, under the new generation: whoever opens the repository from now on must have it. */
const renewConfig = async (
  { context }: Repository,
  keyring: Keyring,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const { backend, keys } = context
  const bytes = await backend.get(CONFIG_KEY, { signal })
  const { line } = readPublicConfig(bytes, backend.location)
  const { settings, unsignedCollections } = openSettings(keys, bytes, line, { acceptsUnsigned: false })
  const config = await encodeConfig(repositoryKeys(keyring, settings.suite), line, settings, unsignedCollections)
  await putHeld(backend, CONFIG_KEY, config, { signal })
}
