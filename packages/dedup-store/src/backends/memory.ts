/** A backend that keeps everything in memory: for tests, and for embedding without a disk. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import type { Backend, GetOptions, ObjectInfo, PutOptions, PutSource } from './backend.ts'
import { checkKey, checkOwner, checkPrefix } from './keys.ts'
import { pieces } from './put-source.ts'
import { noSuchObject, readRange } from './read-range.ts'

/** An empty storage in this process's memory. It is gone when nothing refers to it any more. */
export const memoryBackend = (): Backend => {
  const objects = new Map<string, Bytes>()
  const location = 'memory:'

  return {
    location,
    put: async (key: string, source: PutSource, { ifAbsent = false, owner = '', signal }: PutOptions = {}) => {
      checkKey(key)
      checkOwner(owner)
      const copied: Bytes[] = []
      for await (const piece of pieces(source, { signal })) copied.push(new Uint8Array(piece))
      const content = copied.length === 1 ? (copied[0] as Bytes) : new Uint8Array(Buffer.concat(copied))
      if (ifAbsent && objects.has(key)) return 'exists'
      objects.set(key, content)
      return 'stored'
    },
    get: async (key: string, options: GetOptions = {}) => {
      checkKey(key)
      options.signal?.throwIfAborted()
      const content = objects.get(key)
      if (content === undefined) throw noSuchObject(location, key)
      const { offset, length } = readRange(location, key, content.length, options)
      return content.slice(offset, offset + length)
    },
    stat: async (key: string, { signal }: AbortOptions = {}) => {
      checkKey(key)
      signal?.throwIfAborted()
      const content = objects.get(key)
      return content && { key, sizeBytes: content.length }
    },
    list: (prefix: string, options: AbortOptions = {}) => listObjects(objects, prefix, options),
    delete: async (key: string, { signal }: AbortOptions = {}) => {
      checkKey(key)
      signal?.throwIfAborted()
      objects.delete(key)
    },
    sync: async ({ signal }: AbortOptions = {}) => signal?.throwIfAborted(),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function* listObjects(
  objects: ReadonlyMap<string, Bytes>,
  prefix: string,
  { signal }: AbortOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  checkPrefix(prefix)
  signal?.throwIfAborted()
  const keys = [...objects.keys()].filter(key => key.startsWith(prefix)).toSorted()
  for (const key of keys) {
    signal?.throwIfAborted()
    const content = objects.get(key)
    if (content) yield { key, sizeBytes: content.length }
  }
}
