/** The decision of a session: `commit/<sid>`, put once, by the writer (a manifest) or by whoever fences it. @module */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { sealJson } from '../format/sealed-object.ts'
import { sealSigned } from '../format/signed-object.ts'
import type { RepositoryContext } from './context.ts'
import { openDecision } from './manifest.ts'
import type { Decision, Manifest } from './manifest.ts'

export const commitKey = (sid: string): string => `commit/${sid}`

/** Undefined while the session is undecided. */
export const readDecision = async (
  { backend, keys }: RepositoryContext,
  sid: string,
  { signal }: AbortOptions = {},
): Promise<Decision | undefined> => {
  const bytes = await getOptional(backend, commitKey(sid), signal)
  return bytes === undefined ? undefined : openDecision(keys, commitKey(sid), bytes)
}

/** An object's bytes, or undefined when there is none. */
export const getOptional = async (
  backend: RepositoryContext['backend'],
  key: string,
  signal: AbortSignal | undefined,
): Promise<Bytes | undefined> => {
  try {
    return await backend.get(key, { signal })
  } catch (error) {
    if (isGranaryError(error) && error.code === 'GRANARY_NOT_FOUND') return undefined
    throw error
  }
}

/**
 * Puts a decision unless there is one. A lost answer is no answer: what stands there is compared with ours, whose seal is unlike any other.
 *
 * @returns true when ours stands
 */
export const putDecision = async (
  backend: RepositoryContext['backend'],
  key: string,
  body: Bytes,
  { owner, signal }: AbortOptions & { readonly owner: string },
): Promise<boolean> => {
  let failure: unknown
  try {
    if ((await backend.put(key, body, { ifAbsent: true, owner, signal })) === 'stored') return true
  } catch (error) {
    failure = error
  }
  const standing = await getOptional(backend, key, undefined).catch((error: unknown) => {
    throw failure ?? error
  })
  if (standing === undefined) throw failure
  return Buffer.compare(standing, body) === 0
}

/** Decides that a session may never commit, unless it has. Gives back what was decided. */
export const fence = async (context: RepositoryContext, sid: string, options: AbortOptions = {}): Promise<Decision> => {
  const key = commitKey(sid)
  const body = sealJson(context.keys, 'fence', key, { timeMs: context.clock.now(), host: hostname() })
  await context.backend.put(key, body, { ifAbsent: true, owner: sid, signal: options.signal })
  return (await readDecision(context, sid, options)) as Decision
}

/** How often a put whose answer was lost is asked again. */
const ATTEMPTS = 3

/**
 * Commits a session: all it refers to must be durable before.
 *
 * @returns the hash of the sealed manifest, and who signed it
 * @throws GranaryError `GRANARY_FENCED` when somebody fenced the session
 */
export const commit = async (
  context: RepositoryContext,
  sid: string,
  manifest: Manifest,
  options: AbortOptions = {},
): Promise<{ readonly hash: string; readonly signer: string }> => {
  const key = commitKey(sid)
  const body = await sealSigned(context.keys, 'manifest', key, manifest)
  for (let attempt = 1; ; attempt++) {
    let failure: unknown
    try {
      await context.backend.put(key, body, { ifAbsent: true, owner: sid, signal: options.signal })
    } catch (error) {
      failure = error // The answer may be lost while the object is there: read it back.
    }
    const decision = await readDecision(context, sid).catch((error: unknown) => {
      throw failure ?? error
    })
    if (decision?.kind === 'fence') throw fenced(sid)
    if (decision?.kind === 'manifest' && decision.manifest.nonce === manifest.nonce) return decision
    if (decision !== undefined)
      throw new GranaryError('GRANARY_EXISTS', `session ${sid} was committed by somebody else`)
    if (attempt === ATTEMPTS || options.signal?.aborted === true) throw failure
  }
}

const fenced = (sid: string): GranaryError =>
  new GranaryError(
    'GRANARY_FENCED',
    `session ${sid} gave no sign of life for too long and was fenced: nothing was committed`,
    {
      detail: { session: sid },
      retryable: true,
      hint: 'start the backup again; what it stored is used again',
    },
  )

export const createNonce = (): string => randomBytes(16).toString('hex')
