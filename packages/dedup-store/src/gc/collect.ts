/**
 * Garbage collection beside running writers and readers, without locks: claim, mark, tomb, wait or fence, mark again, del, delete.
 * The order is the proof: docs/formats/repository.md, "Collection".
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { openIndex } from '../backup.ts'
import { sealByHolder } from '../format/signed-object.ts'
import { mergeIndex } from '../index/merge-index.ts'
import type { Repository } from '../repository.ts'
import { requireHolder } from '../require-holder.ts'
import type { RepositoryContext } from '../sessions/context.ts'
import { fence, putDecision, readDecision } from '../sessions/decisions.ts'
import { isAlive, startHeartbeat } from '../sessions/heartbeat.ts'
import type { Heartbeat } from '../sessions/heartbeat.ts'
import { tidyDamagedPacks } from '../sessions/damaged-packs.ts'
import { tidyPassedPacks } from '../sessions/passed-packs.ts'
import { isSessionAlive, listSessions, withdrawSession } from '../sessions/session-registry.ts'
import { listSuspects, sweepTemporaries } from '../sessions/sweep.ts'
import type { SweepOptions } from '../sessions/sweep.ts'
import { gcKey, readGcState } from './gc-state.ts'
import type { Del, GcState, Tomb } from './gc-state.ts'
import { planCollection, rescue } from './plan.ts'
import type { CollectionPlan } from './plan.ts'
import { FULL_PROTOCOL } from './protocol.ts'
import type { CollectionProtocol } from './protocol.ts'
import { repack } from './repack.ts'

export interface CollectOptions extends AbortOptions {
  /** Says what would go and changes nothing. @default false */
  readonly dryRun?: boolean
  /** Packs with a smaller share of live bytes than this are rewritten, 0 to 1; 0 for never. @default 0.5 */
  readonly repackBelow?: number
  /** Called when collection waits for a session. */
  readonly onWait?: (sid: string) => void
}

export interface CollectReport {
  /** Number of this collection; 0 for a dry run. */
  readonly number: number
  readonly packs: number
  /** Packs that went (or would), and their bytes. */
  readonly deletedPacks: number
  readonly deletedBytes: number
  /** Live bytes copied out of half-dead packs. */
  readonly repackedBytes: number
  /** Packs that a session took into use while collection ran. */
  readonly rescuedPacks: number
  readonly fencedSessions: readonly string[]
  /** Snapshots whose mark of forgetting no key holder signed, and whose data is kept: `verify` says more. */
  readonly doubtfulForgets: readonly string[]
}

/** A session that is waited for is looked at after so long, then after twice that, and so on; in the end so often in its life. */
const FIRST_POLL_MS = 500
const POLLS_PER_LIFE = 60

/**
 * Collects what no snapshot and no reader needs.
 *
 * @throws GranaryError `GRANARY_LOCKED` when another collection runs; `GRANARY_CORRUPT` when what is live can't be known
 */
export const collect = async (repository: Repository, options: CollectOptions = {}): Promise<CollectReport> =>
  await collectBy(FULL_PROTOCOL, repository, options)

/** Collection by a given protocol. */
export const collectBy = async (
  protocol: CollectionProtocol,
  repository: Repository,
  options: CollectOptions = {},
): Promise<CollectReport> => {
  requireHolder(repository, 'collect')
  const { context } = repository
  const { signal, repackBelow = 0.5 } = options
  if (options.dryRun === true)
    return reportOf(0, await planCollection(repository, { repackBelow, isDryRun: true, signal }), { repackedBytes: 0 })

  const { number, before, heartbeat } = await claim(context, signal)
  await using _ = heartbeat
  let isDecided = false
  try {
    const suspects = await listSuspects(context, { signal })
    await finishDeleting(context, before, signal)
    const plan = await planCollection(repository, { repackBelow, signal })
    const repackedBytes = await repack(repository, plan, { signal })
    const doomed = [...plan.dead, ...plan.halfDead].map(pack => pack.key)
    await putOnce(context, number, 'tomb', { packs: doomed } satisfies Tomb, signal)
    const fencedSessions = await settleSessions(context, protocol, plan, options)
    const rescued = protocol.marksTwice
      ? await rescue(repository, plan, new Set(doomed), { protocol, signal })
      : new Set<string>()
    const deleted = doomed.filter(key => !rescued.has(key))
    await decide(repository, number, { deleted, before }, signal)
    isDecided = true
    const isIndexStale = before.deleted.size + deleted.length > 0
    await clean(repository, plan, { deleted, isIndexStale, suspects, own: heartbeatOf(number).name, signal })
    return reportOf(number, plan, { repackedBytes, rescued, fencedSessions })
  } catch (error) {
    if (!isDecided) await abandon(context, number).catch(() => undefined) // The next one does it, if we can't.
    throw error
  }
}

const reportOf = (
  number: number,
  plan: CollectionPlan,
  {
    repackedBytes,
    rescued = new Set(),
    fencedSessions = [],
  }: { repackedBytes: number; rescued?: ReadonlySet<string>; fencedSessions?: readonly string[] },
): CollectReport => {
  const gone = [...plan.dead, ...plan.halfDead].filter(pack => !rescued.has(pack.key))
  return {
    number,
    packs: plan.packs,
    deletedPacks: gone.length,
    deletedBytes: gone.reduce((sum, pack) => sum + pack.sizeBytes, 0),
    repackedBytes,
    rescuedPacks: rescued.size,
    fencedSessions,
    doubtfulForgets: plan.doubtful,
  }
}

interface Claim {
  readonly number: number
  readonly before: GcState
  readonly heartbeat: Heartbeat
}

const heartbeatOf = (number: number): { key: string; type: 'heartbeat'; name: string } => ({
  key: gcKey(number, 'hb'),
  type: 'heartbeat',
  name: `gc-${number}`,
})

/** Takes the next number, alive from the start. A collection whose process is gone is given up first. */
const claim = async (context: RepositoryContext, signal: AbortSignal | undefined): Promise<Claim> => {
  let before = await readGcState(context, { signal })
  while (before.number > 0 && before.del === undefined) {
    if (await isAlive(context, { ...heartbeatOf(before.number), sinceMs: 0 })) throw running(before.number)
    await abandon(context, before.number)
    before = await readGcState(context, { signal }) // Another one may have begun meanwhile: it is looked at just so.
  }
  const number = before.number + 1
  const heartbeat = await startHeartbeat(context, heartbeatOf(number))
  try {
    const key = gcKey(number, 'claim')
    const body = await sealByHolder(context.keys, 'claim', key, { timeMs: context.clock.now() })
    if (!(await putDecision(context.backend, key, body, { owner: `gc-${number}`, signal }))) throw running(number)
    return { number, before, heartbeat }
  } catch (error) {
    await heartbeat[Symbol.asyncDispose]()
    throw error
  }
}

const running = (number: number): GranaryError =>
  new GranaryError('GRANARY_LOCKED', `collection ${number} is running already`, {
    detail: { number },
    retryable: true,
    hint: 'wait for it to end; if its machine has died, it is given up after its time to live',
  })

const abandon = async (context: RepositoryContext, number: number): Promise<void> => {
  const key = gcKey(number, 'del')
  const del: Del = { isAbandoned: true, packs: [], excluded: [] }
  const body = await sealByHolder(context.keys, 'del', key, del)
  await context.backend.put(key, body, { ifAbsent: true, owner: `gc-${number}` })
}

/** @throws GranaryError `GRANARY_LOCKED` when somebody gave this collection up */
const putOnce = async (
  context: RepositoryContext,
  number: number,
  part: 'tomb' | 'del',
  value: Tomb | Del,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const key = gcKey(number, part)
  const body = await sealByHolder(context.keys, part, key, value)
  if (await putDecision(context.backend, key, body, { owner: `gc-${number}`, signal })) return
  throw new GranaryError('GRANARY_LOCKED', `collection ${number} was given up by another one`, {
    detail: { number },
    retryable: true,
  })
}

/**
 * Deletes what collections before decided and perhaps did not come to. Once their del is no longer the last one, nothing
 * but the lack of these packs keeps sessions from taking them for good.
 */
const finishDeleting = async (
  context: RepositoryContext,
  { deleted }: GcState,
  signal: AbortSignal | undefined,
): Promise<void> => {
  if (deleted.size === 0) return
  for await (const { key } of context.backend.list('packs/', { signal }))
    if (deleted.has(key)) await context.backend.delete(key, { signal })
}

/** Waits until every session that was undecided when the tomb was put is decided; fences those that are gone. */
const settleSessions = async (
  context: RepositoryContext,
  protocol: CollectionProtocol,
  { strays }: CollectionPlan,
  { signal, onWait }: CollectOptions,
): Promise<string[]> => {
  const fenced: string[] = []
  if (!protocol.waits) return fenced
  for (const sid of new Set([...(await listSessions(context, { signal })), ...strays])) {
    let isTold = false
    let pauseMs = FIRST_POLL_MS
    while ((await readDecision(context, sid, { signal })) === undefined) {
      if (!(await isSessionAlive(context, sid))) {
        if (!protocol.fences) break
        if ((await fence(context, sid, { signal })).kind === 'fence') fenced.push(sid)
        break
      }
      if (!isTold) onWait?.(sid)
      isTold = true
      const longestMs = context.timeToLiveMs / POLLS_PER_LIFE
      await context.clock.sleep(Math.min(pauseMs, longestMs), signal)
      pauseMs = Math.min(2 * pauseMs, longestMs)
    }
  }
  return fenced
}

/** Puts `del`: from here on the packs are gone for everybody. */
const decide = async (
  repository: Repository,
  number: number,
  { deleted, before }: { deleted: readonly string[]; before: GcState },
  signal: AbortSignal | undefined,
): Promise<void> => {
  const { context } = repository
  const index = await openIndex(repository, { signal })
  const named = await index.namedPacks({ signal })
  const excluded = [...before.deleted].filter(key => named.has(key))
  await context.backend.sync({ signal }) // What this decision rests on must not come undone after it.
  await putOnce(context, number, 'del', { isAbandoned: false, packs: deleted, excluded }, signal)
}

/** Deletes, and tidies up what is of no use to anybody. */
const clean = async (
  repository: Repository,
  plan: CollectionPlan,
  { deleted, isIndexStale, ...options }: SweepOptions & { deleted: readonly string[]; isIndexStale: boolean },
): Promise<void> => {
  const { context } = repository
  const { signal } = options
  for (const key of deleted) await context.backend.delete(key, { signal })
  await context.backend.sync({ signal })
  await tidyPassedPacks(context, { signal })
  await tidyDamagedPacks(context, { signal })
  await mergeIndex(repository, { force: isIndexStale, signal })
  for (const sid of await listSessions(context, { signal }))
    if (plan.decided.has(sid)) await withdrawSession(context, sid)
  await sweepTemporaries(context, options)
}
