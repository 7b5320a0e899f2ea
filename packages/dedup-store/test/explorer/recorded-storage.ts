/** A storage in memory that records who changed what, and can be had as it was after any change. */
import type { Bytes } from '@granary/core'
import { gather } from '@granary/testing/simulation'
import { memoryBackend } from '../../src/index.ts'
import type { Backend } from '../../src/index.ts'

export interface Change {
  readonly actor: string
  readonly key: string
  /** Undefined: deleted. */
  readonly bytes: Bytes | undefined
}

export interface RecordedStorage {
  readonly changes: readonly Change[]
  /** The storage, as somebody uses it. */
  open(actor: string): Backend
  /** What there was after the first `count` changes, on a storage of its own. */
  at(count: number): Promise<Backend>
}

/** `backend` with everything it stores and deletes noted in `changes`. */
export const recording = (backend: Backend, actor: string, changes: Change[]): Backend => ({
  ...backend,
  async put(key, source, options) {
    const bytes = await gather(source)
    const outcome = await backend.put(key, bytes, options)
    if (outcome === 'stored') changes.push({ actor, key, bytes })
    return outcome
  },
  async delete(key, options) {
    const isThere = (await backend.stat(key)) !== undefined
    await backend.delete(key, options)
    if (isThere) changes.push({ actor, key, bytes: undefined })
  },
})

/** @param initial what is there from the start */
export const recordedStorage = async (initial: readonly Change[]): Promise<RecordedStorage> => {
  const changes: Change[] = []
  const storage = memoryBackend()
  await apply(storage, initial)
  return {
    changes,
    open: actor => recording(storage, actor, changes),
    async at(count) {
      const copy = memoryBackend()
      await apply(copy, [...initial, ...changes.slice(0, count)])
      return copy
    },
  }
}

const apply = async (storage: Backend, changes: readonly Change[]): Promise<void> => {
  for (const { key, bytes } of changes) await (bytes === undefined ? storage.delete(key) : storage.put(key, bytes))
}
