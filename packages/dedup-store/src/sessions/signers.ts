/**
 * Who may sign: `signers/<id>` says whose a public key is, `signers/<id>.revoked` that it counts no longer. Both are signed by
 * the key holder, whose own keys need no entry.
 *
 * @see docs/formats/repository.md, "Signers"
 * @module
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { isUnreadable } from '../format/damage.ts'
import { hexOfId } from '../format/ids.ts'
import { openByHolder, sealByHolder } from '../format/signed-object.ts'
import type { RepositoryContext } from './context.ts'
import { getOptional } from './decisions.ts'
import { putHeld } from './put-held.ts'

const PREFIX = 'signers/'
const REVOKED = '.revoked'

/** What `signers/<id>` says. */
interface SignerRecord {
  /** A client can write only; a holder's signer stands beside the keys derived from the root key. */
  readonly kind: 'client' | 'holder'
  readonly name: string
  /** Hexadecimal. */
  readonly publicKey: string
  readonly timeMs: number
}

/** What `signers/<id>.revoked` says. */
interface Revocation {
  readonly timeMs: number
  readonly host: string
  /** What it had committed by then, which goes on counting. */
  readonly sessions: readonly string[]
}

export interface SignerEntry extends SignerRecord {
  /** 16 hexadecimal digits. */
  readonly id: string
  readonly isRevoked: boolean
}

/** Who signed something, as far as the repository knows. */
export interface SignedBy {
  readonly kind: 'holder' | 'client' | 'unknown'
  /** Of a client, or of a holder's signer that has a name. */
  readonly name?: string
  /** True when the key counted for this: known, and not revoked before. */
  readonly isVerified: boolean
}

export interface Signers {
  readonly entries: readonly SignerEntry[]
  /** Who signed what session `sid` committed. */
  judge(publicKey: string, sid: string): SignedBy
}

/** Reads who may sign. An entry that can't be read counts for nothing; a revocation that can't be read counts. */
export const readSigners = async (context: RepositoryContext, { signal }: AbortOptions = {}): Promise<Signers> => {
  const keys: string[] = []
  for await (const { key } of context.backend.list(PREFIX, { signal })) keys.push(key)
  const entries: (SignerEntry & { readonly counted: ReadonlySet<string> })[] = []
  for (const key of keys) {
    if (key.endsWith(REVOKED)) continue
    const record = await readRecord<SignerRecord>(context, key, 'signer', signal)
    if (record === undefined) continue
    const isRevoked = keys.includes(key + REVOKED)
    const revocation = isRevoked
      ? await readRecord<Revocation>(context, key + REVOKED, 'revocation', signal)
      : undefined
    entries.push({ ...record, id: key.slice(PREFIX.length), isRevoked, counted: new Set(revocation?.sessions) })
  }
  return {
    entries,
    judge(publicKey, sid) {
      if (context.keys.holders.has(publicKey)) return { kind: 'holder', isVerified: true }
      const entry = entries.find(each => each.publicKey === publicKey)
      if (entry === undefined) return { kind: 'unknown', isVerified: false }
      const { kind, name, isRevoked, counted } = entry
      return { kind, name, isVerified: !isRevoked || counted.has(sid) }
    },
  }
}

const readRecord = async <Value>(
  { backend, keys }: RepositoryContext,
  key: string,
  type: 'signer' | 'revocation',
  signal: AbortSignal | undefined,
): Promise<Value | undefined> => {
  const bytes = await getOptional(backend, key, signal)
  if (bytes === undefined) return undefined
  try {
    return openByHolder<Value>(keys, type, key, bytes).value
  } catch (error) {
    if (isUnreadable(error)) return undefined
    throw error
  }
}

/**
 * Makes a public key known.
 *
 * @returns the id of the entry
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the name is none; `GRANARY_EXISTS` when one that isn't revoked has it
 */
export const addSigner = async (
  context: RepositoryContext,
  { kind, name, publicKey }: Pick<SignerRecord, 'kind' | 'name'> & { readonly publicKey: Bytes },
  options: AbortOptions = {},
): Promise<string> => {
  if (!/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,100}$/u.test(name)) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'name of a signer: expected 1 to 100 printable characters', {
      detail: { argument: 'name' },
    })
  }
  const { entries } = await readSigners(context, options)
  if (entries.some(entry => entry.name === name && !entry.isRevoked)) {
    throw new GranaryError('GRANARY_EXISTS', `there is a signer called ${name} already`, {
      detail: { name },
      hint: 'choose another name, or revoke that one first',
    })
  }
  const id = randomBytes(8).toString('hex')
  const record: SignerRecord = { kind, name, publicKey: hexOfId(publicKey), timeMs: context.clock.now() }
  const body = await sealByHolder(context.keys, 'signer', PREFIX + id, record)
  await putHeld(context.backend, PREFIX + id, body, { ifAbsent: true, signal: options.signal })
  return id
}

/**
 * Revokes a signer: what it commits from now on counts for nothing, what it had committed goes on counting.
 *
 * @param sessionsOf gives what a public key has committed
 * @throws GranaryError `GRANARY_NOT_FOUND` when nobody, or only somebody revoked, has that id or name
 */
export const revokeSigner = async (
  context: RepositoryContext,
  idOrName: string,
  sessionsOf: (publicKey: string) => Promise<readonly string[]>,
  options: AbortOptions = {},
): Promise<SignerEntry> => {
  const { entries } = await readSigners(context, options)
  const entry = entries.find(each => !each.isRevoked && (each.id === idOrName || each.name === idOrName))
  if (entry === undefined) {
    throw new GranaryError('GRANARY_NOT_FOUND', `there is no client or signer ${idOrName} that could be revoked`, {
      detail: { name: idOrName },
      hint: '`granary client list` shows them',
    })
  }
  const sessions = await sessionsOf(entry.publicKey)
  const key = PREFIX + entry.id + REVOKED
  const revocation: Revocation = { timeMs: context.clock.now(), host: hostname(), sessions }
  const body = await sealByHolder(context.keys, 'revocation', key, revocation)
  await putHeld(context.backend, key, body, { ifAbsent: true, signal: options.signal })
  return { ...entry, isRevoked: true }
}
