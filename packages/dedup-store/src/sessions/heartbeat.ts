/** Signs of life: an object put again and again, and on local files a lock that ends with its process. @module */
import { isGranaryError } from '@granary/core'
import type { ObjectType } from '../format/header.ts'
import { openJson, sealJson } from '../format/sealed-object.ts'
import type { RepositoryContext } from './context.ts'
import { getOptional } from './decisions.ts'

interface Beat {
  readonly timeMs: number
}

export interface Heartbeat extends AsyncDisposable {
  /** Puts a sign of life when one is due. Failures are swallowed: the next one may succeed, and the fence is the judge. */
  beat(): Promise<void>
}

/** Four signs of life in a time to live. */
const BEATS_PER_LIFE = 4

/**
 * Keeps `key` fresh until disposed.
 *
 * @param name of the lock on storages that have one
 */
export const startHeartbeat = async (
  context: RepositoryContext,
  { key, type, name, content = {} }: { key: string; type: ObjectType; name: string; content?: object },
): Promise<Heartbeat> => {
  const { backend, clock, keys, timeToLiveMs } = context
  const lock = await backend.hold?.(name)
  let lastMs = clock.now()
  let inFlight: Promise<unknown> | undefined
  const stop = new AbortController()
  const put = async (): Promise<void> => {
    lastMs = clock.now()
    await backend.put(key, sealJson(keys, type, key, { ...content, timeMs: lastMs }), { owner: name, durable: false })
  }
  try {
    await put()
  } catch (error) {
    await lock?.[Symbol.asyncDispose]()
    throw error
  }

  const heartbeat: Heartbeat = {
    async beat() {
      if (clock.now() - lastMs < timeToLiveMs / BEATS_PER_LIFE) return
      inFlight ??= put()
        .catch(() => undefined)
        .finally(() => (inFlight = undefined))
      await inFlight
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await inFlight
      await lock?.[Symbol.asyncDispose]()
    },
  }
  void (async () => {
    for (;;) {
      await clock.sleep(timeToLiveMs / BEATS_PER_LIFE, stop.signal)
      await heartbeat.beat()
    }
  })().catch(() => undefined) // Ends when disposed.
  return heartbeat
}

/**
 * Whether the owner of a heartbeat must be taken for alive: by its lock where the storage knows, else by the age of its last sign.
 */
export const isAlive = async (
  { backend, keys, clock, timeToLiveMs }: RepositoryContext,
  { key, type, name, sinceMs }: { key: string; type: ObjectType; name: string; sinceMs: number },
): Promise<boolean> => {
  const held = await backend.isHeld?.(name)
  if (held !== undefined) return held
  const lastMs = await readBeat({ backend, keys }, type, key)
  return clock.now() - Math.max(lastMs ?? 0, sinceMs) < timeToLiveMs
}

/** Time of the last sign, or undefined when there is none that can be read. */
const readBeat = async (
  { backend, keys }: Pick<RepositoryContext, 'backend' | 'keys'>,
  type: ObjectType,
  key: string,
): Promise<number | undefined> => {
  try {
    const bytes = await getOptional(backend, key, undefined)
    return bytes === undefined ? undefined : openJson<Beat>(keys, type, key, bytes).timeMs
  } catch (error) {
    if (isGranaryError(error) && (error.code === 'GRANARY_CORRUPT' || error.code === 'GRANARY_AUTHENTICATION'))
      return undefined
    throw error
  }
}
