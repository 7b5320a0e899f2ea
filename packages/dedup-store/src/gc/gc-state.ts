/**
 * What collections have decided: `gc/<n>/claim`, `tomb`, `del`. Numbers ascend; n+1 starts only when n's `del` exists.
 *
 * @see docs/formats/repository.md, "Collection"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { isDamage } from '../format/damage.ts'
import { openByHolder } from '../format/signed-object.ts'
import type { RepositoryContext } from '../sessions/context.ts'
import { getOptional } from '../sessions/decisions.ts'

export type GcPart = 'claim' | 'tomb' | 'del' | 'hb'

/** Padded, so that a listing ascends by number. */
export const gcKey = (n: number, part: GcPart): string => `gc/${String(n).padStart(8, '0')}/${part}`

export interface Tomb {
  /** Keys of packs that are to go. */
  readonly packs: readonly string[]
}

export interface Del {
  /** True when the collection was given up: its tomb is void. */
  readonly isAbandoned: boolean
  /** Keys of packs that go now, or have gone. */
  readonly packs: readonly string[]
  /** Keys of packs that went before and that some index segment may still name. */
  readonly excluded: readonly string[]
}

export interface GcState {
  /** Number of the last collection, 0 when there was none. */
  readonly number: number
  readonly tomb: Tomb | undefined
  readonly del: Del | undefined
  /** Packs that are gone, or going: nobody reads them. */
  readonly deleted: ReadonlySet<string>
  /** Packs no writer may refer to: those, and the ones under a tomb that isn't decided. */
  readonly excludedForWriters: ReadonlySet<string>
}

/**
 * Reads the state of collection.
 *
 * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_AUTHENTICATION` when a tomb or del is damaged: nobody may guess then
 */
export const readGcState = async (context: RepositoryContext, { signal }: AbortOptions = {}): Promise<GcState> => {
  for (;;) {
    const number = await lastNumber(context, signal)
    const tomb = await readPart<Tomb>(context, number, 'tomb', signal)
    const del = await readPart<Del>(context, number, 'del', signal)
    // Without a del of its own, the packs that went before are in the del of the one before.
    const before = del === undefined || del.isAbandoned ? await lastLists(context, number - 1, signal) : []
    if ((await lastNumber(context, signal)) !== number) continue // Another began meanwhile: what it decided counts.
    const deleted = new Set([...before, ...(del?.packs ?? []), ...(del?.excluded ?? [])])
    const excludedForWriters = new Set([...deleted, ...(del === undefined ? (tomb?.packs ?? []) : [])])
    return { number, tomb, del, deleted, excludedForWriters }
  }
}

const lastNumber = async ({ backend }: RepositoryContext, signal: AbortSignal | undefined): Promise<number> => {
  let last = 0
  for await (const { key } of backend.list('gc/', { signal })) {
    const number = Number(/^gc\/(\d{8})\/claim$/.exec(key)?.[1])
    if (number > last) last = number
  }
  return last
}

/** The deleted packs that collection n or the last one before it with a list knew of. */
const lastLists = async (context: RepositoryContext, n: number, signal: AbortSignal | undefined): Promise<string[]> => {
  for (let number = n; number > 0; number--) {
    const del = await readPart<Del>(context, number, 'del', signal)
    if (del !== undefined && !del.isAbandoned) return [...del.packs, ...del.excluded]
  }
  return []
}

const readPart = async <Part>(
  { backend, keys, unsignedCollections = 0 }: RepositoryContext,
  n: number,
  part: 'tomb' | 'del',
  signal: AbortSignal | undefined,
): Promise<Part | undefined> => {
  if (n === 0) return undefined
  const key = gcKey(n, part)
  const bytes = await getOptional(backend, key, signal)
  if (bytes === undefined) return undefined
  try {
    return openByHolder<Part>(keys, part, key, bytes, { acceptsUnsigned: n <= unsignedCollections }).value
  } catch (error) {
    if (!isDamage(error)) throw error
    throw new GranaryError(
      'GRANARY_CORRUPT',
      `${key} can't be read: what collection decided is unknown, so nothing is collected`,
      {
        detail: { object: key },
        cause: error,
        hint: 'restore it from a copy of the repository, or run `granary check`',
      },
    )
  }
}
