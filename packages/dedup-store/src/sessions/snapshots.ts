/** Snapshots: committed manifests that were not forgotten. @module */
import { GranaryError, isGranaryError, mapOrdered } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { ObjectInfo } from '../backends/backend.ts'
import { isSessionId } from '../format/ids.ts'
import type { RepositoryContext } from './context.ts'
import { commitKey, readDecision } from './decisions.ts'
import type { Decision, SnapshotManifest } from './manifest.ts'
import { readSigners } from './signers.ts'
import type { SignedBy, Signers } from './signers.ts'

export interface Snapshot extends SnapshotManifest {
  /** 32 hexadecimal digits: the session that committed it. */
  readonly id: string
  /** BLAKE3-256 of the sealed manifest, hexadecimal. */
  readonly hash: string
  /** Ed25519 public key that signed it, hexadecimal. */
  readonly signer: string
  /** Whose key that is, and whether it counts. */
  readonly signedBy: SignedBy
}

export const forgetKey = (sid: string): string => `forget/${sid}`

export interface ListOptions extends AbortOptions {
  /** Called for a decision that can't be read, which is then passed over; without it, the listing fails there. */
  readonly onDamaged?: ((sid: string, error: GranaryError) => void) | undefined
  /** Sessions that are passed over unread: what they decided never changes, so it need not be read twice. @default none */
  readonly skips?: ((sid: string) => boolean) | undefined
}

/** Decisions read at a time: small objects, of which a repository may have thousands. */
const READS_AT_ONCE = 16

/** Every decided session, ascending by id. */
export async function* listDecisions(
  context: RepositoryContext,
  { signal, onDamaged, skips }: ListOptions = {},
): AsyncGenerator<{ sid: string; decision: Decision }, void, undefined> {
  const read = async ({ key }: ObjectInfo): Promise<{ sid: string; decision: Decision } | undefined> => {
    const sid = key.slice('commit/'.length)
    if (!isSessionId(sid) || skips?.(sid) === true) return undefined
    try {
      const decision = await readDecision(context, sid, { signal })
      return decision === undefined ? undefined : { sid, decision }
    } catch (error) {
      if (onDamaged === undefined || !isGranaryError(error)) throw error
      onDamaged(sid, error)
      return undefined
    }
  }
  const objects = context.backend.list('commit/', { signal })
  for await (const found of mapOrdered(objects, read, { concurrency: READS_AT_ONCE, signal }))
    if (found !== undefined) yield found
}

/** Sessions that were forgotten; a damaged mark still means forgotten, so only names are read. */
export const listForgotten = async (
  { backend }: RepositoryContext,
  { signal }: AbortOptions = {},
): Promise<Set<string>> => {
  const sids = new Set<string>()
  for await (const { key } of backend.list('forget/', { signal })) sids.add(key.slice('forget/'.length))
  return sids
}

/** A catalog is forgotten with its snapshot. */
export const isForgotten = (forgotten: ReadonlySet<string>, sid: string, { catalogOf }: SnapshotManifest): boolean =>
  forgotten.has(sid) || (catalogOf !== undefined && forgotten.has(catalogOf))

/** What a decision made, if that is a snapshot. */
const snapshotOf = (sid: string, decision: Decision | undefined, signers: Signers): Snapshot | undefined => {
  if (decision?.kind !== 'manifest' || decision.manifest.kind !== 'snapshot') return undefined
  const { manifest, hash, signer } = decision
  return { ...manifest, id: sid, hash, signer, signedBy: signers.judge(signer, sid) }
}

/** All snapshots and catalogs that can be read, ascending by id. */
export const listStored = async (context: RepositoryContext, options: ListOptions = {}): Promise<Snapshot[]> => {
  const forgotten = await listForgotten(context, options)
  const signers = await readSigners(context, options)
  const stored: Snapshot[] = []
  const skips = (sid: string): boolean => forgotten.has(sid) || options.skips?.(sid) === true
  for await (const { sid, decision } of listDecisions(context, { ...options, skips })) {
    const snapshot = snapshotOf(sid, decision, signers)
    if (snapshot !== undefined && !isForgotten(forgotten, sid, snapshot)) stored.push(snapshot)
  }
  return stored
}

const byTime = (a: Snapshot, b: Snapshot): number => a.timeMs - b.timeMs || (a.id < b.id ? -1 : 1)

/** All snapshots, oldest first. */
export const listSnapshots = async (context: RepositoryContext, options: ListOptions = {}): Promise<Snapshot[]> =>
  (await listStored(context, options)).filter(({ catalogOf }) => catalogOf === undefined).sort(byTime)

/** A catalog: an ordinary snapshot to whoever opens its disk. */
export interface CatalogSnapshot extends Snapshot {
  readonly catalogOf: string
}

/** All catalogs, oldest first. A snapshot may have several: the last one counts. */
export const listCatalogs = async (context: RepositoryContext, options: ListOptions = {}): Promise<CatalogSnapshot[]> =>
  (await listStored(context, options)).filter(isCatalog).sort(byTime)

const isCatalog = (snapshot: Snapshot): snapshot is CatalogSnapshot => snapshot.catalogOf !== undefined

/** One snapshot that must be committed and unforgotten now. @throws GranaryError `GRANARY_NOT_FOUND` when it isn't */
export const readSnapshot = async (
  context: RepositoryContext,
  sid: string,
  options: AbortOptions = {},
): Promise<Snapshot> => {
  const decision = await readDecision(context, sid, options)
  const snapshot = snapshotOf(sid, decision, await readSigners(context, options))
  const marks = [sid, ...(snapshot?.catalogOf === undefined ? [] : [snapshot.catalogOf])].map(forgetKey)
  const found = await Promise.all(marks.map(async key => await context.backend.stat(key, options)))
  const wasForgotten = found.some(mark => mark !== undefined)
  if (snapshot !== undefined && !wasForgotten) return snapshot
  throw notFound(sid, wasForgotten ? `snapshot ${sid} was forgotten` : `there is no snapshot ${sid}`)
}

/**
 * The id a text means: whole, a unique beginning, or `latest`, the last one whose signature counts.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when none or several match
 */
export const resolveSnapshotId = async (
  context: RepositoryContext,
  text: string,
  options: AbortOptions = {},
): Promise<string> => {
  if (isSessionId(text)) return text
  if (text === 'latest') {
    const last = (await listSnapshots(context, options)).findLast(({ signedBy }) => signedBy.isVerified)
    if (last !== undefined) return last.id
    throw notFound(text, 'the repository has no snapshot whose signature counts')
  }
  const matches: string[] = []
  if (/^[0-9a-f]{4,31}$/.test(text)) {
    const forgotten = await listForgotten(context, options)
    for await (const { key } of context.backend.list(`commit/${text}`, options)) {
      const sid = key.slice(commitKey('').length)
      if (forgotten.has(sid)) continue
      const decision = await readDecision(context, sid, options)
      if (decision?.kind !== 'manifest' || decision.manifest.kind !== 'snapshot') continue
      if (decision.manifest.catalogOf === undefined) matches.push(sid)
    }
  }
  if (matches.length === 1) return matches[0] as string
  throw notFound(
    text,
    matches.length === 0
      ? `no snapshot's id begins with "${text}"`
      : `${matches.length} snapshots' ids begin with "${text}"`,
  )
}

const notFound = (text: string, message: string): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', message, {
    detail: { snapshot: text },
    hint: '`granary snapshots` lists them; a beginning of 4 or more digits is enough when it is unique',
  })
