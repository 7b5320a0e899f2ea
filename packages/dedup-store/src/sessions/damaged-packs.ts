/**
 * `damaged/<sid>-<n>`: a key holder read this pack and found a blob that is not what its id says. No new backup relies on what
 * the pack holds: it is stored again, readers take the new place first, and collection empties the pack.
 *
 * @see docs/formats/repository.md, "Damaged packs"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { packKey, packOfKey } from '../format/ids.ts'
import { sealByHolder } from '../format/signed-object.ts'
import type { RepositoryContext } from './context.ts'
import { putHeld } from './put-held.ts'

const PREFIX = 'damaged/'
const PACKS = 'packs/'

const markKey = (pack: string): string => PREFIX + pack.slice(PACKS.length)

/** Keys of the packs that are marked. Only names are read: a mark that is damaged itself counts, and costs no more than space. */
export const readDamagedPacks = async (
  { backend }: RepositoryContext,
  { signal }: AbortOptions = {},
): Promise<Set<string>> => {
  const packs = new Set<string>()
  for await (const { key } of backend.list(PREFIX, { signal })) {
    const pack = packOfKey(PACKS + key.slice(PREFIX.length))
    if (pack !== undefined) packs.add(packKey(pack))
  }
  return packs
}

/** Marks a pack. */
export const markDamagedPack = async (
  { backend, keys, clock }: RepositoryContext,
  pack: string,
  { signal }: AbortOptions = {},
): Promise<void> => {
  const key = markKey(pack)
  const body = await sealByHolder(keys, 'damaged', key, { pack, timeMs: clock.now() })
  await putHeld(backend, key, body, { ifAbsent: true, signal })
}

/** Takes a mark away: the pack was replaced by a sound copy, or is gone. */
export const unmarkDamagedPack = async (
  { backend }: RepositoryContext,
  pack: string,
  options: AbortOptions = {},
): Promise<void> => {
  await backend.delete(markKey(pack), options)
}

/** Removes the marks of packs that are gone. */
export const tidyDamagedPacks = async (context: RepositoryContext, options: AbortOptions = {}): Promise<void> => {
  for (const pack of await readDamagedPacks(context, options))
    if ((await context.backend.stat(pack, options)) === undefined) await unmarkDamagedPack(context, pack, options)
}
