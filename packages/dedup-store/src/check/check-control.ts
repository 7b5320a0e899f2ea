/** Opens every small object: key slots, sessions, decisions, forgets, pins, what collection decided. @module */
import type { AbortOptions } from '@granary/core'
import { GranaryError } from '@granary/core'
import { verifySlot } from '@granary/transform'
import { CONFIG_KEY, openSettings, readPublicConfig } from '../config.ts'
import { openObject } from '../format/sealed-object.ts'
import type { ObjectType } from '../format/header.ts'
import { packOfKey, sessionOfSegment } from '../format/ids.ts'
import type { Repository } from '../repository.ts'
import { openByHolder, openSigned } from '../format/signed-object.ts'
import { openDecision } from '../sessions/manifest.ts'
import { listStored } from '../sessions/snapshots.ts'
import type { Snapshot } from '../sessions/snapshots.ts'
import type { DamageList } from './check.ts'

/** What may stand under which keys. */
const CONTROL: readonly { readonly pattern: RegExp; readonly type: ObjectType }[] = [
  { pattern: /^sessions\/[0-9a-f]{32}$/, type: 'session' },
  { pattern: /^sessions\/[0-9a-f]{32}\.hb$/, type: 'heartbeat' },
  { pattern: /^pins\/[0-9a-f]{32}$/, type: 'pin' },
  { pattern: /^gc\/\d{8}\/hb$/, type: 'heartbeat' },
]

/** What only key holders may say. */
const BY_HOLDER: readonly { readonly pattern: RegExp; readonly type: ObjectType }[] = [
  { pattern: /^gc\/\d{8}\/claim$/, type: 'claim' },
  { pattern: /^gc\/\d{8}\/tomb$/, type: 'tomb' },
  { pattern: /^gc\/\d{8}\/del$/, type: 'del' },
  { pattern: /^signers\/[0-9a-f]{16}$/, type: 'signer' },
  { pattern: /^signers\/[0-9a-f]{16}\.revoked$/, type: 'revocation' },
  { pattern: /^passed\/[0-9a-f]{32}$/, type: 'passed' },
  { pattern: /^damaged\/[0-9a-f]{32}-\d{1,9}$/, type: 'damaged' },
]

/** @returns the snapshots and catalogs that can be read */
export const checkControlObjects = async (
  repository: Repository,
  list: DamageList,
  { signal }: AbortOptions,
): Promise<Snapshot[]> => {
  const { context } = repository
  for await (const { key } of context.backend.list('', { signal })) {
    if (packOfKey(key) !== undefined || sessionOfSegment(key) !== undefined) continue
    await list.guard(key, async () => await checkObject(repository, key, signal))
  }
  return await listStored(context, { signal, onDamaged: () => undefined })
}

const checkObject = async ({ context }: Repository, key: string, signal: AbortSignal | undefined): Promise<void> => {
  const { backend, keys, unsignedCollections = 0 } = context
  const bytes = await backend.get(key, { signal }).catch((error: unknown) => {
    if (error instanceof GranaryError && error.code === 'GRANARY_NOT_FOUND') return undefined // Ended meanwhile.
    throw error
  })
  if (bytes === undefined) return
  const acceptsUnsigned = unsignedCollections === Infinity
  const holders = BY_HOLDER.find(({ pattern }) => pattern.test(key))?.type
  if (key === CONFIG_KEY) openSettings(keys, bytes, readPublicConfig(bytes, backend.location).line, { acceptsUnsigned })
  else if (holders !== undefined)
    openByHolder(keys, holders, key, bytes, { acceptsUnsigned: collectionOf(key) <= unsignedCollections })
  else if (key.startsWith('keys/')) verifySlot(bytes)
  else if (key.startsWith('commit/')) openDecision(keys, key, bytes)
  else if (key.startsWith('forget/')) openSigned(key, openObject(keys, ['forget'], key, bytes).plain)
  else {
    const type = CONTROL.find(({ pattern }) => pattern.test(key))?.type
    if (type === undefined)
      throw new GranaryError('GRANARY_CORRUPT', `${key} is nothing a repository has`, { detail: { object: key } })
    openObject(keys, [type], key, bytes)
  }
}

/** Number of the collection an object belongs to; of others one that comes after all. */
const collectionOf = (key: string): number => Number(/^gc\/(\d{8})\//.exec(key)?.[1] ?? Infinity)
