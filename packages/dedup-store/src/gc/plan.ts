/** What a collection would take: the first mark, and the second one that rescues. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { openIndex } from '../backup.ts'
import { isDamage } from '../format/damage.ts'
import { packOfKey } from '../format/ids.ts'
import type { RepositoryIndex } from '../index/repository-index.ts'
import { createBlobReader } from '../reader/blob-reader.ts'
import type { BlobReader } from '../reader/blob-reader.ts'
import type { Repository } from '../repository.ts'
import type { RepositoryContext } from '../sessions/context.ts'
import type { SnapshotManifest } from '../sessions/manifest.ts'
import { readDamagedPacks } from '../sessions/damaged-packs.ts'
import { readForgetMarks } from '../sessions/forget-marks.ts'
import { listPinned } from '../sessions/pins.ts'
import { readSigners } from '../sessions/signers.ts'
import { isForgotten, listDecisions, listForgotten } from '../sessions/snapshots.ts'
import { canBeEmptied } from './damaged-packs.ts'
import { readGcState } from './gc-state.ts'
import { LiveSet } from './live-set.ts'
import { markSnapshot } from './mark.ts'
import type { CollectionProtocol } from './protocol.ts'

export interface DoomedPack {
  readonly key: string
  readonly sizeBytes: number
}

export interface CollectionPlan {
  /** Packs of decided sessions. */
  readonly packs: number
  /** Without a live blob. */
  readonly dead: readonly DoomedPack[]
  /** Whose live blobs are worth copying elsewhere: few, or all that damage has left and something else makes up for. */
  readonly halfDead: readonly DoomedPack[]
  readonly live: LiveSet
  /** Keys of packs found damaged. */
  readonly damaged: ReadonlySet<string>
  /** Snapshots that count as forgotten by a mark that no key holder signed: what they need is kept, as far as it is there. */
  readonly doubtful: readonly string[]
  /** Sessions that were decided when the plan was made; what they committed was marked. */
  readonly decided: ReadonlySet<string>
  /** Undecided sessions that packs are of. */
  readonly strays: ReadonlySet<string>
  readonly index: RepositoryIndex
  readonly blobs: BlobReader
}

interface PlanOptions extends AbortOptions {
  readonly repackBelow: number
  /** Removes no pins of dead readers. @default false */
  readonly isDryRun?: boolean
}

/**
 * Marks from all snapshots and readers, then looks which packs are left: what appears meanwhile is only ever kept too long.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when something live is missing
 */
export const planCollection = async (
  repository: Repository,
  { repackBelow, isDryRun = false, signal }: PlanOptions,
): Promise<CollectionPlan> => {
  const { context } = repository
  const { decided, snapshots, doubtful } = await listRoots(context, { isDryRun, signal })
  const index = await openIndex(repository, { signal })
  const blobs = createBlobReader(context.backend, context.keys, index)
  const live = new LiveSet()
  const markAll = async ({ sid, manifest }: Root): Promise<void> =>
    await markSnapshot(
      { index, blobs },
      sid,
      manifest,
      places => places.map(({ pack, ordinal }) => live.mark(pack, ordinal)).some(Boolean),
      { signal },
    )
  for (const root of snapshots) await markAll(root)
  const kept: string[] = []
  for (const root of doubtful) {
    try {
      await markAll(root)
      kept.push(root.sid)
    } catch (error) {
      if (!isDamage(error)) throw error // Else it is gone already: somebody may have forgotten it rightly, long ago.
    }
  }
  const { deleted } = await readGcState(context, { signal })
  const damaged = await readDamagedPacks(context, { signal })
  const places = { backend: context.backend, keys: context.keys, index }
  const dead: DoomedPack[] = []
  const halfDead: DoomedPack[] = []
  const strays = new Set<string>()
  let packs = 0
  for await (const { key, sizeBytes } of context.backend.list('packs/', { signal })) {
    const name = packOfKey(key)
    if (name === undefined || deleted.has(key)) continue
    if (!decided.has(name.sid)) {
      strays.add(name.sid)
      continue
    }
    packs++
    const mark = live.packOf(key)
    if (mark === undefined) dead.push({ key, sizeBytes })
    else if (damaged.has(key)) {
      if (await canBeEmptied(places, key, live, { signal })) halfDead.push({ key, sizeBytes })
    } else if (mark.liveBytes < mark.blobBytes * repackBelow) halfDead.push({ key, sizeBytes })
  }
  return { packs, dead, halfDead, live, damaged, doubtful: kept, decided, strays, index, blobs }
}

interface Root {
  readonly sid: string
  readonly manifest: SnapshotManifest
}

interface Roots {
  readonly decided: ReadonlySet<string>
  readonly snapshots: readonly Root[]
  /** Forgotten by marks of which none is a key holder's. */
  readonly doubtful: readonly Root[]
}

/**
 * Every decided session, and of those the snapshots that are not forgotten or that a reader holds. Decisions are listed before
 * forgets, and forgets before pins: a reader puts its pin before it looks whether its snapshot was forgotten.
 */
const listRoots = async (
  context: RepositoryContext,
  { isDryRun, signal }: AbortOptions & { readonly isDryRun: boolean },
): Promise<Roots> => {
  const decided = new Set<string>()
  const snapshots: Root[] = []
  const damaged = new Map<string, GranaryError>()
  const onDamaged = (sid: string, error: GranaryError): void => void damaged.set(sid, error)
  for await (const { sid, decision } of listDecisions(context, { signal, onDamaged })) {
    decided.add(sid)
    if (decision.kind === 'manifest' && decision.manifest.kind === 'snapshot')
      snapshots.push({ sid, manifest: decision.manifest })
  }
  const forgotten = await listForgotten(context, { signal })
  const pinned = await listPinned(context, { isDryRun, signal })
  for (const [sid, error] of damaged) {
    if (!forgotten.has(sid) || pinned.has(sid)) throw unreadable(error)
    decided.add(sid)
  }
  const { others } = await readForgetMarks(context, await readSigners(context, { signal }), { signal })
  const rightly = new Set([...forgotten].filter(sid => !others.has(sid)))
  const isRoot = ({ sid, manifest }: Root): boolean => pinned.has(sid) || !isForgotten(forgotten, sid, manifest)
  const isDoubtful = (root: Root): boolean => !isRoot(root) && !isForgotten(rightly, root.sid, root.manifest)
  return { decided, snapshots: snapshots.filter(isRoot), doubtful: snapshots.filter(isDoubtful) }
}

/** A failure of the storage stays what it is; damage is passed over once its snapshot is forgotten. */
const unreadable = (error: GranaryError): GranaryError =>
  !isDamage(error)
    ? error
    : new GranaryError(error.code, `${error.message}; what it needs is unknown, so nothing is collected`, {
        cause: error,
        detail: error.detail,
        hint: 'restore it from a copy of the repository, or forget that snapshot',
      })

/**
 * The second mark: from every commit absent from the first, forgotten or not. What only doomed packs hold rescues them.
 *
 * @returns the packs that must stay
 */
export const rescue = async (
  repository: Repository,
  plan: CollectionPlan,
  doomed: ReadonlySet<string>,
  { protocol, signal }: AbortOptions & { readonly protocol: CollectionProtocol },
): Promise<Set<string>> => {
  const { context } = repository
  const rescued = new Set<string>()
  const forgotten = await listForgotten(context, { signal })
  const snapshots = []
  const onDamaged = (sid: string, error: GranaryError): void => {
    if (!plan.decided.has(sid)) throw unreadable(error)
  }
  for await (const { sid, decision } of listDecisions(context, { signal, onDamaged })) {
    if (plan.decided.has(sid) || decision.kind !== 'manifest' || decision.manifest.kind !== 'snapshot') continue
    if (forgotten.has(sid) && !protocol.marksForgotten) continue
    snapshots.push({ sid, manifest: decision.manifest })
  }
  // Only now: the segments of whatever was committed meanwhile are there, too.
  const index = await openIndex(repository, { signal })
  const blobs = createBlobReader(context.backend, context.keys, index)
  const seen = new LiveSet()
  for (const { sid, manifest } of snapshots) {
    await markSnapshot(
      { index, blobs },
      sid,
      manifest,
      places => {
        const believed = places.filter(({ pack }) => index.isTrusted(pack))
        if (believed.every(({ pack }) => doomed.has(pack.key)))
          for (const { pack } of places) if (doomed.has(pack.key)) rescued.add(pack.key)
        return places.map(({ pack, ordinal }) => seen.mark(pack, ordinal)).some(Boolean)
      },
      { signal },
    )
  }
  return rescued
}
