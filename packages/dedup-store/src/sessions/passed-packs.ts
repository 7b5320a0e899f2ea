/**
 * `passed/<id>`: packs of write-only clients that a key holder has read whole and found to hold what they say. Until then
 * nobody but the client itself relies on them.
 *
 * @see docs/formats/repository.md, "Passed packs"
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { AbortOptions } from '@granary/core'
import { isUnreadable } from '../format/damage.ts'
import { openByHolder, sealByHolder } from '../format/signed-object.ts'
import type { RepositoryContext } from './context.ts'
import { getOptional } from './decisions.ts'
import { putHeld } from './put-held.ts'

const PREFIX = 'passed/'

/** Packs in one object, so that it stays small. */
const PACKS_AN_OBJECT = 10_000

interface PassedPacks {
  /** Digests of packs by their keys. */
  readonly packs: Readonly<Record<string, string>>
}

/** Digests of the packs that passed, by their keys; with the objects that say so. An object that can't be read passes nothing. */
export const readPassedPacks = async (
  { backend, keys }: RepositoryContext,
  { signal }: AbortOptions = {},
): Promise<Map<string, { readonly digest: string; readonly object: string }>> => {
  const passed = new Map<string, { digest: string; object: string }>()
  for await (const { key } of backend.list(PREFIX, { signal })) {
    const bytes = await getOptional(backend, key, signal)
    if (bytes === undefined) continue
    try {
      const { packs } = openByHolder<PassedPacks>(keys, 'passed', key, bytes).value
      for (const [pack, digest] of Object.entries(packs)) passed.set(pack, { digest, object: key })
    } catch (error) {
      if (!isUnreadable(error)) throw error
    }
  }
  return passed
}

/** Records that packs hold what they say. */
export const passPacks = async (
  { backend, keys }: RepositoryContext,
  packs: readonly { readonly key: string; readonly digest: string }[],
  { signal }: AbortOptions = {},
): Promise<void> => {
  for (let at = 0; at < packs.length; at += PACKS_AN_OBJECT) {
    const key = PREFIX + randomBytes(16).toString('hex')
    const some = packs.slice(at, at + PACKS_AN_OBJECT)
    const value: PassedPacks = { packs: Object.fromEntries(some.map(pack => [pack.key, pack.digest])) }
    await putHeld(backend, key, await sealByHolder(keys, 'passed', key, value), { ifAbsent: true, signal })
  }
}

/** Removes objects all of whose packs are gone. */
export const tidyPassedPacks = async (context: RepositoryContext, options: AbortOptions = {}): Promise<void> => {
  const passed = await readPassedPacks(context, options)
  if (passed.size === 0) return
  const objects = new Set([...passed.values()].map(({ object }) => object))
  for await (const { key } of context.backend.list('packs/', options)) {
    const standing = passed.get(key)
    if (standing !== undefined) objects.delete(standing.object)
  }
  for (const object of objects) await context.backend.delete(object, options)
}
