/**
 * Block status as extents: asks in pieces, clips and joins what comes.
 *
 * @see doc/proto.md, "Metadata querying", NBD_CMD_BLOCK_STATUS
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Extent } from '@granary/core'
import type { StatusExtent } from '../protocol/block-status.ts'
import { ALLOCATION_FLAG, COMMAND, CONTEXT, DIRTY_FLAG } from '../protocol/constants.ts'
import { protocolError } from '../protocol/fields.ts'
import type { BlockGrid, Range } from './block-grid.ts'
import type { LinkPool } from './link-pool.ts'

/** The most that 32 bits and every block size allow. */
const COMPACT_PIECE_BYTES = 2 ** 32 - 65_536
const EXTENDED_PIECE_BYTES = 2 ** 40

/** Runs of the contexts asked for, all of them over the same range. */
interface Answered extends Range {
  readonly runs: ReadonlyMap<string, readonly StatusExtent[]>
}

export interface StatusReaderOptions {
  readonly pool: LinkPool
  readonly grid: BlockGrid
}

/** A run of one meta context. `flags` means what the context says. */
export interface MetaExtent extends Range {
  readonly flags: number
}

/**
 * Runs of one context: they ascend, touch and cover the range; equal neighbours are joined.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the context was not agreed on
 */
export async function* readMetaExtents(
  options: StatusReaderOptions,
  context: string,
  range: Range,
  signal?: AbortSignal,
): AsyncGenerator<MetaExtent, void, undefined> {
  let last: MetaExtent | undefined
  for await (const { offset, runs } of readStatus(options, [context], range, signal)) {
    let at = offset
    for (const { length, flags } of runs.get(context) as readonly StatusExtent[]) {
      if (last?.flags === flags) last = { ...last, length: last.length + length }
      else {
        if (last !== undefined) yield last
        last = { offset: at, length, flags }
      }
      at += length
    }
  }
  if (last !== undefined) yield last
}

export interface ExtentContexts {
  readonly hasAllocation: boolean
  readonly hasDepth: boolean
  /** Full name of the dirty bitmap's context. */
  readonly bitmap: string | undefined
}

/** Extents in the sense of the disk contract. Without any context all is `data`. */
export async function* readExtents(
  options: StatusReaderOptions,
  { hasAllocation, hasDepth, bitmap }: ExtentContexts,
  range: Range,
  signal?: AbortSignal,
): AsyncGenerator<Extent, void, undefined> {
  const contexts = [
    ...(hasAllocation ? [CONTEXT.allocation] : []),
    ...(hasDepth ? [CONTEXT.allocationDepth] : []),
    ...(bitmap === undefined ? [] : [bitmap]),
  ]
  if (range.length === 0) return
  if (contexts.length === 0) {
    yield { ...range, kind: 'data' }
    return
  }
  let last: Extent | undefined
  for await (const answered of readStatus(options, contexts, range, signal)) {
    for (const extent of combine(answered, bitmap)) {
      if (last !== undefined && isAlike(last, extent)) last = { ...last, length: last.length + extent.length }
      else {
        if (last !== undefined) yield last
        last = extent
      }
    }
  }
  if (last !== undefined) yield last
}

/** Cuts the runs of several contexts at all their borders. */
function* combine({ offset, length, runs }: Answered, bitmap: string | undefined): Generator<Extent> {
  const cursors = [...runs].map(([name, extents]) => ({ name, extents, index: 0, left: extents[0]?.length ?? 0 }))
  for (let at = 0; at < length;) {
    const step = Math.min(...cursors.map(cursor => cursor.left))
    const flagsOf = (name: string | undefined): number | undefined => {
      const cursor = cursors.find(candidate => candidate.name === name)
      return cursor?.extents[cursor.index]?.flags
    }
    yield {
      offset: offset + at,
      length: step,
      kind: kindOf(flagsOf(CONTEXT.allocation)),
      ...dirtyOf(flagsOf(bitmap)),
      ...depthOf(flagsOf(CONTEXT.allocationDepth)),
    }
    at += step
    for (const cursor of cursors) {
      cursor.left -= step
      if (cursor.left === 0) cursor.left = cursor.extents[++cursor.index]?.length ?? 0
    }
  }
}

/** A hole without the zero bit has no defined content: it must be read like data. */
const kindOf = (flags = 0): Extent['kind'] => {
  if ((flags & ALLOCATION_FLAG.zero) === 0) return 'data'
  return (flags & ALLOCATION_FLAG.hole) === 0 ? 'zero' : 'hole'
}

const dirtyOf = (flags: number | undefined): { dirty?: boolean } =>
  flags === undefined ? {} : { dirty: (flags & DIRTY_FLAG) !== 0 }

/** The context counts from 1; 0 says that no layer has the range. */
const depthOf = (value: number | undefined): { depth?: number; present?: boolean } => {
  if (value === undefined) return {}
  return value === 0 ? { present: false } : { depth: value - 1, present: true }
}

const isAlike = (one: Extent, two: Extent): boolean =>
  one.kind === two.kind && one.dirty === two.dirty && one.depth === two.depth && one.present === two.present

/** Asks for pieces until the range is covered. A server may answer for less than was asked, or for more. */
async function* readStatus(
  { pool, grid }: StatusReaderOptions,
  contexts: readonly string[],
  range: Range,
  signal?: AbortSignal,
): AsyncGenerator<Answered, void, undefined> {
  signal?.throwIfAborted()
  const known = new Set(pool.first.contexts.values())
  for (const name of contexts)
    if (!known.has(name))
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `NBD: the meta context ${name} was not agreed on`, {
        detail: { context: name },
      })
  const pieceBytes = pool.first.style === 'extended' ? EXTENDED_PIECE_BYTES : COMPACT_PIECE_BYTES
  const end = range.offset + range.length
  const ask = (at: number): Promise<Answered> => {
    const asked = grid.around({ offset: at, length: Math.min(pieceBytes, end - at) })
    const answer = askStatus(pool, contexts, asked, signal).then(answered => clip(answered, at, end))
    // A reader that stops early never looks at the answer it does not want any more.
    answer.catch(() => undefined)
    return answer
  }
  if (range.length === 0) return
  // Where to go on is only known from an answer; the next question goes out before the answer is worked on.
  for (let next: Promise<Answered> | undefined = ask(range.offset); next !== undefined;) {
    const answered: Answered = await next
    const at = answered.offset + answered.length
    next = at < end ? ask(at) : undefined
    yield answered
  }
}

const askStatus = async (
  pool: LinkPool,
  contexts: readonly string[],
  asked: Range,
  signal?: AbortSignal,
): Promise<Answered> => {
  const { statuses, negotiated } = await pool.submit({ command: COMMAND.blockStatus, flags: 0, ...asked }, signal)
  const runs = new Map<string, readonly StatusExtent[]>()
  for (const [id, name] of negotiated.contexts) {
    const extents = statuses.get(id)
    if (extents !== undefined && contexts.includes(name)) runs.set(name, extents)
  }
  for (const name of contexts)
    if (!runs.has(name)) throw protocolError(`the server tells nothing about ${name}`, { context: name, ...asked })
  const lengths = [...runs.values()].map(extents => extents.reduce((sum, { length }) => sum + length, 0))
  return { offset: asked.offset, length: Math.min(...lengths), runs }
}

/** The part of an answer in [start, end): where every context reaches. */
const clip = ({ offset, length, runs }: Answered, start: number, end: number): Answered => {
  const stop = Math.min(offset + length, end)
  if (stop <= start) throw protocolError('a block status ends before the range that was asked for', { offset, start })
  const clipped = new Map<string, readonly StatusExtent[]>()
  for (const [name, extents] of runs) {
    const kept: StatusExtent[] = []
    let at = offset
    for (const { length: runBytes, flags } of extents) {
      const from = Math.max(at, start)
      const to = Math.min(at + runBytes, stop)
      if (to > from) kept.push({ length: to - from, flags })
      at += runBytes
    }
    clipped.set(name, kept)
  }
  return { offset: start, length: stop - start, runs: clipped }
}
