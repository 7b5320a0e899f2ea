/**
 * Makes damaged or lost index segments anew from what packs say of themselves: a writer session that commits no snapshot.
 *
 * @see docs/formats/repository.md, "Index", "Rebuilding"
 * @module
 */
import { hostname } from 'node:os'
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { ObjectInfo } from '../backends/backend.ts'
import { packKey, packOfKey, sessionOfSegment } from '../format/ids.ts'
import { readGcState } from '../gc/gc-state.ts'
import { openPack } from '../packs/pack-reader.ts'
import type { Repository } from '../repository.ts'
import { requireHolder } from '../require-holder.ts'
import type { RepositoryContext } from '../sessions/context.ts'
import { createNonce, readDecision } from '../sessions/decisions.ts'
import { WriterSession } from '../sessions/writer-session.ts'
import { createPageCache } from './page-cache.ts'
import type { PageCache } from './page-cache.ts'
import { SegmentReader } from './segment-reader.ts'

export interface RebuildReport {
  /** Segments that were damaged, and are gone now. */
  readonly damagedSegments: readonly string[]
  /** Packs that the index had lost and names again. */
  readonly indexedPacks: number
  /** Packs whose own list of contents is damaged: what is in them is not found. */
  readonly unreadablePacks: readonly string[]
}

/** How often segments that were listed may turn out to be gone, because somebody merges them. */
const MAX_LISTINGS = 100

/**
 * Publishes segments for every pack that no sound segment names, then deletes the damaged ones. Beside running backups and
 * readers; a collection waits for it. What dies midway leaves a repository as good as before, at least.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` for a write-only client; `GRANARY_UNSUPPORTED` for a segment of a newer version
 */
export const rebuildIndex = async (repository: Repository, options: AbortOptions = {}): Promise<RebuildReport> => {
  requireHolder(repository, 'rebuild the index')
  const { context } = repository
  await using session = await WriterSession.begin(context, options)
  await session.publish(options) // Packs of dead sessions that it has taken over are named from here on.
  const { damaged, named } = await readSegments(context, options)
  const { deleted } = await readGcState(context, options)
  const unreadablePacks: string[] = []
  let indexedPacks = 0
  for await (const { key, sizeBytes } of context.backend.list('packs/', options)) {
    const name = packOfKey(key)
    if (name === undefined || named.has(key) || deleted.has(key)) continue
    try {
      const pack = await openPack(context.backend, context.keys, key, { sizeBytes, ...options })
      await session.packStored(
        name,
        pack.type,
        pack.uid,
        pack.entries.map(entry => entry.id),
        options,
      )
      indexedPacks++
    } catch (error) {
      if (isRotten(error)) unreadablePacks.push(key)
      else if (!isMissing(error)) throw error // One that is gone was collected meanwhile.
    }
  }
  await session.commit(
    { kind: 'maintenance', nonce: createNonce(), timeMs: context.clock.now(), host: hostname() },
    options,
  )
  for (const key of damaged) await context.backend.delete(key, options)
  return { damagedSegments: damaged, indexedPacks, unreadablePacks }
}

/** Which segments are damaged, and what packs the others name. Read whole: a damaged page shows in no other way. */
const readSegments = async (
  context: RepositoryContext,
  options: AbortOptions,
): Promise<{ damaged: string[]; named: Set<string> }> => {
  for (let attempt = 1; ; attempt++) {
    const cache = createPageCache(context.indexCacheBytes)
    const damaged: string[] = []
    const named = new Set<string>()
    try {
      for await (const info of context.backend.list('index/', options)) {
        const sid = sessionOfSegment(info.key)
        if (sid === undefined) continue
        try {
          for (const pack of await packsOf(context, cache, { info, sid }, options)) named.add(pack)
        } catch (error) {
          if (!isRotten(error)) throw error
          damaged.push(info.key)
        }
      }
      return { damaged, named }
    } catch (error) {
      if (!isMissing(error) || attempt === MAX_LISTINGS) throw error
    }
  }
}

/** The packs that a segment names; none for a merged one whose session has not committed, as that doesn't count. */
const packsOf = async (
  context: RepositoryContext,
  cache: PageCache,
  { info, sid }: { readonly info: ObjectInfo; readonly sid: string },
  options: AbortOptions,
): Promise<string[]> => {
  const { backend, keys } = context
  const segment = await SegmentReader.open({ backend, keys, cache }, info, options)
  await segment.verify(options)
  const { replaces, packs } = segment.directory
  if (replaces.length > 0 && (await readDecision(context, sid, options))?.kind !== 'manifest') return []
  const names: string[] = []
  for (let row = 0; row < packs; row++) names.push(packKey(await segment.packRow(row, options)))
  return names
}

/** Read, and not what it must be. What a newer version wrote is not. */
const isRotten = (error: unknown): boolean =>
  isGranaryError(error) && (error.code === 'GRANARY_CORRUPT' || error.code === 'GRANARY_AUTHENTICATION')

const isMissing = (error: unknown): boolean => isGranaryError(error) && error.code === 'GRANARY_NOT_FOUND'
