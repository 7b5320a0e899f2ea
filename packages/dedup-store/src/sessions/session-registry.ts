/** `sessions/<sid>`: announces a writer before it reads anything, so that collection waits for it. @module */
import { hostname } from 'node:os'
import type { AbortOptions } from '@granary/core'
import { isSessionId } from '../format/ids.ts'
import { openJson, sealJson } from '../format/sealed-object.ts'
import type { RepositoryContext } from './context.ts'
import { getOptional } from './decisions.ts'
import { isAlive, startHeartbeat } from './heartbeat.ts'
import type { Heartbeat } from './heartbeat.ts'

const sessionKey = (sid: string): string => `sessions/${sid}`
const heartbeatKey = (sid: string): string => `sessions/${sid}.hb`

interface SessionRecord {
  readonly timeMs: number
  readonly host: string
  readonly pid: number
}

/** Puts the session's object and starts its signs of life. */
export const announceSession = async (
  context: RepositoryContext,
  sid: string,
  { signal }: AbortOptions = {},
): Promise<Heartbeat> => {
  const record: SessionRecord = { timeMs: context.clock.now(), host: hostname(), pid: process.pid }
  const heartbeat = await startHeartbeat(context, { key: heartbeatKey(sid), type: 'heartbeat', name: sid })
  try {
    await context.backend.put(sessionKey(sid), sealJson(context.keys, 'session', sessionKey(sid), record), {
      owner: sid,
      signal,
    })
  } catch (error) {
    await heartbeat[Symbol.asyncDispose]()
    throw error
  }
  return heartbeat
}

/** All announced sessions, decided or not, ascending; also those of which only the sign of life is there. */
export const listSessions = async (
  { backend }: RepositoryContext,
  { signal }: AbortOptions = {},
): Promise<string[]> => {
  const sids = new Set<string>()
  for await (const { key } of backend.list('sessions/', { signal })) {
    const sid = key.slice('sessions/'.length).replace(/\.hb$/, '')
    if (isSessionId(sid)) sids.add(sid)
  }
  return [...sids]
}

/** Whether anything of a session's announcement is there. */
export const isAnnounced = async (
  { backend }: RepositoryContext,
  sid: string,
  options: AbortOptions,
): Promise<boolean> =>
  (await backend.stat(sessionKey(sid), options)) !== undefined ||
  (await backend.stat(heartbeatKey(sid), options)) !== undefined

/** Whether a session must be waited for. A record that can't be read is judged by its heartbeat alone. */
export const isSessionAlive = async (context: RepositoryContext, sid: string): Promise<boolean> => {
  const bytes = await getOptional(context.backend, sessionKey(sid), undefined)
  let sinceMs = 0
  try {
    if (bytes !== undefined) sinceMs = openJson<SessionRecord>(context.keys, 'session', sessionKey(sid), bytes).timeMs
  } catch {
    sinceMs = 0
  }
  return await isAlive(context, { key: heartbeatKey(sid), type: 'heartbeat', name: sid, sinceMs })
}

/** Removes the announcement of a decided session. */
export const withdrawSession = async ({ backend }: RepositoryContext, sid: string): Promise<void> => {
  await backend.delete(heartbeatKey(sid))
  await backend.delete(sessionKey(sid))
}
