/** The key slots of a repository: `keys/<id>`, each of which opens the whole keyring with its own secret. @module */
import { randomBytes } from 'node:crypto'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { createSlot, openSlot, verifySlot } from '@granary/transform'
import type { CreateSlotOptions, Keyring, NewSecret, Secret, SlotHeader } from '@granary/transform'
import type { Backend } from './backends/backend.ts'
import { putHeld } from './sessions/put-held.ts'

export type PassphraseSecret = Extract<Secret, { readonly kind: 'passphrase' }>

export interface KeySlot {
  /** 16 hexadecimal digits. */
  readonly id: string
  readonly header: SlotHeader
}

const SECRET_NAMES = { passphrase: 'passphrase', 'key-file': 'key file', escrow: 'private key' } as const

const slotKey = (id: string): string => `keys/${id}`

/** Adds a slot and gives back its id. */
export const addSlot = async (
  backend: Backend,
  keyring: Keyring,
  secret: NewSecret,
  options: CreateSlotOptions,
): Promise<string> => {
  const id = randomBytes(8).toString('hex')
  await putHeld(backend, slotKey(id), await createSlot(keyring, secret, options), { ifAbsent: true })
  return id
}

/**
 * Puts a slot with another passphrase in the place of one. Data is not touched, and the root key stays what it is: who has copied
 * the old slot can still open that copy with the old passphrase.
 *
 * @returns ids of the slot that was added and of the one that was removed
 * @throws GranaryError `GRANARY_WRONG_KEY` when the old passphrase opens no slot
 */
export const changePassphrase = async (
  backend: Backend,
  { before, after }: { readonly before: PassphraseSecret; readonly after: PassphraseSecret },
  options: Partial<CreateSlotOptions> & AbortOptions = {},
): Promise<{ readonly added: string; readonly removed: string }> => {
  const keyring = await unlock(backend, before, options)
  const old = await findSlot(backend, before, options)
  const added = await addSlot(backend, keyring, after, { label: old.header.label, ...options })
  await backend.sync()
  await removeSlot(backend, old.id, options)
  return { added, removed: old.id }
}

/** The latest slot that a secret opens. */
const findSlot = async (backend: Backend, secret: Secret, { signal }: AbortOptions): Promise<KeySlot> => {
  let found: KeySlot | undefined
  for await (const { id, bytes } of readSlots(backend, signal)) {
    const header = named(id, () => verifySlot(bytes))
    if (!(await opens(bytes, secret))) continue
    if ((header.generation ?? 0) >= (found?.header.generation ?? 0)) found = { id, header }
  }
  if (found !== undefined) return found
  throw new GranaryError(
    'GRANARY_WRONG_KEY',
    `${backend.location}: this ${SECRET_NAMES[secret.kind]} opens no key slot`,
  )
}

/** Whether a secret opens a slot. @throws GranaryError when the slot is damaged */
export const opens = async (bytes: Bytes, secret: Secret): Promise<boolean> => {
  try {
    await openSlot(bytes, secret)
    return true
  } catch (error) {
    if (isGranaryError(error) && error.code === 'GRANARY_WRONG_KEY') return false
    throw error
  }
}

/** All slots. @throws GranaryError `GRANARY_CORRUPT` when one is damaged */
export const listSlots = async (backend: Backend, { signal }: AbortOptions = {}): Promise<KeySlot[]> => {
  const slots: KeySlot[] = []
  for await (const { id, bytes } of readSlots(backend, signal))
    slots.push({ id, header: named(id, () => verifySlot(bytes)) })
  return slots
}

/**
 * Removes a slot. Whoever has copied it with its secret can still open that copy: docs/security.md says what that means.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is none; `GRANARY_INVALID_ARGUMENT` when it is the last one
 */
export const removeSlot = async (backend: Backend, id: string, options: AbortOptions = {}): Promise<void> => {
  const slots = await listSlots(backend, options)
  if (!slots.some(slot => slot.id === id)) {
    throw new GranaryError('GRANARY_NOT_FOUND', `there is no key slot ${id}`, {
      detail: { slot: id },
      hint: '`granary key list` shows them',
    })
  }
  if (slots.length === 1) {
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      'the last key slot opens the repository: without it nothing can be read',
      {
        detail: { slot: id },
        hint: 'add another with `granary key add` first',
      },
    )
  }
  await backend.delete(slotKey(id))
  await backend.sync()
}

/**
 * Opens the keyring with a secret: every slot of that kind is tried, those with the latest generation first.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` when none opens; `GRANARY_CORRUPT` when none opens and one is damaged
 */
export const unlock = async (backend: Backend, secret: Secret, { signal }: AbortOptions = {}): Promise<Keyring> => {
  const slots: { id: string; bytes: Bytes; generation: number }[] = []
  let damage: unknown
  for await (const { id, bytes } of readSlots(backend, signal)) {
    try {
      const { kind, generation = 0 } = named(id, () => verifySlot(bytes))
      if (kind === secret.kind) slots.push({ id, bytes, generation })
    } catch (error) {
      if (!isGranaryError(error)) throw error
      damage = error
    }
  }
  for (const { bytes } of slots.toSorted((a, b) => b.generation - a.generation)) {
    try {
      return await openSlot(bytes, secret)
    } catch (error) {
      if (!isGranaryError(error)) throw error
      if (error.code !== 'GRANARY_WRONG_KEY') damage = error
    }
  }
  if (damage !== undefined) throw damage
  throw new GranaryError(
    'GRANARY_WRONG_KEY',
    `${backend.location}: this ${SECRET_NAMES[secret.kind]} opens no key slot`,
    {
      detail: { location: backend.location, kind: secret.kind },
      hint: 'check that key and repository belong together; `granary key list` with a key that opens it shows the slots',
    },
  )
}

/** Ids and bytes of all slots. */
export async function* readSlots(
  backend: Backend,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ id: string; bytes: Bytes }, void, undefined> {
  for await (const { key } of backend.list('keys/', { signal })) {
    yield { id: key.slice('keys/'.length), bytes: await backend.get(key, { signal }) }
  }
}

const named = <Result>(id: string, work: () => Result): Result => {
  try {
    return work()
  } catch (error) {
    if (!isGranaryError(error)) throw error
    throw new GranaryError(error.code, `${slotKey(id)}: ${error.message}`, {
      detail: { ...error.detail, object: slotKey(id) },
      cause: error,
    })
  }
}
