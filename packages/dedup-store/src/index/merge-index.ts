/** Merges the index segments of a repository into one: a writer session that commits no snapshot. @module */
import { hostname } from 'node:os'
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { readGcState } from '../gc/gc-state.ts'
import { sessionOfSegment } from '../format/ids.ts'
import type { Repository } from '../repository.ts'
import { createNonce, readDecision } from '../sessions/decisions.ts'
import { WriterSession } from '../sessions/writer-session.ts'
import { mergeSegments } from './merge.ts'
import { encodeSegment } from './segment-writer.ts'

/** Fewer segments than this are left alone: each costs a look-up a page, in memory. */
const MERGE_FROM = 16

export interface MergeOptions extends AbortOptions {
  /** Merges even a few, for instance to leave out deleted packs. @default false */
  readonly force?: boolean
}

/**
 * Merges all segments. The merged one counts once its session has committed; only then are the others deleted.
 * Packs under a tomb that isn't decided stay in: they may be rescued. Only deleted ones are left out.
 */
export const mergeIndex = async (
  { context }: Repository,
  { force = false, signal }: MergeOptions = {},
): Promise<void> => {
  const leastSegments = force ? 1 : MERGE_FROM
  if ((await countSegments(context, signal)) < leastSegments) return
  await using session = await WriterSession.begin(context, { signal })
  const { deleted } = await readGcState(context, { signal })
  const { segments } = session.index
  const merged = session.nextSegment()
  try {
    const content = await mergeSegments(segments, key => deleted.has(key), { signal })
    await context.backend.put(merged, encodeSegment(context.keys, merged, content), { owner: session.sid, signal })
  } catch (error) {
    if (isGranaryError(error) && error.code === 'GRANARY_NOT_FOUND') return // Somebody else merged them meanwhile.
    throw error
  }
  await session.commit(
    { kind: 'maintenance', nonce: createNonce(), timeMs: context.clock.now(), host: hostname() },
    { signal },
  )
  for (const { key } of segments) await context.backend.delete(key, { signal })
  await deleteVoidMerges(context, session, signal)
}

const countSegments = async ({ backend }: Repository['context'], signal: AbortSignal | undefined): Promise<number> => {
  let count = 0
  for await (const _ of backend.list('index/', { signal })) count++
  return count
}

/** A fenced session's ordinary segments may name packs that others took over; its merges count for nothing. */
const deleteVoidMerges = async (
  context: Repository['context'],
  { index }: WriterSession,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const listed: { key: string; sid: string }[] = []
  for await (const { key } of context.backend.list('index/', { signal })) {
    const sid = sessionOfSegment(key)
    if (sid !== undefined) listed.push({ key, sid })
  }
  await index.reload({ signal }) // Every ordinary segment that was listed is in it now, or gone.
  const counting = new Set(index.segments.map(segment => segment.key))
  for (const { key, sid } of listed) {
    if (counting.has(key)) continue
    if ((await readDecision(context, sid, { signal }))?.kind === 'fence') await context.backend.delete(key, { signal })
  }
}
