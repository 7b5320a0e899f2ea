/** Finds the service of a path. @module */
import { ApiError } from './api-error.ts'
import type { Answer } from './answer.ts'
import type { Call } from './call.ts'
import type { TypeName } from '../model/schema.ts'

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `vms/:vm/nics`; `:names` are ids. */
  readonly path: string
  /** Type of the body. */
  readonly body?: TypeName
  /** Failures are answered as an action with a fault in it (endpoints of `doAction`, CONTRACT §0.2). */
  readonly failsAsAction?: boolean
  readonly run: (call: Call) => Answer | Promise<Answer>
}

export interface Match {
  readonly route: Route
  readonly ids: Readonly<Record<string, string>>
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
/** Ids that are no UUIDs. */
const FREE_IDS = new Set(['event', 'file'])

/**
 * The route for a method and a path.
 *
 * @throws ApiError 404 when there is none, 405 on another method, 400 on an id that is no UUID
 */
export const findRoute = (routes: readonly Route[], method: string, segments: readonly string[]): Match => {
  const wanted = method === 'HEAD' ? 'GET' : method
  let isKnown = false
  for (const route of routes) {
    const ids = matchPath(route.path.split('/').filter(Boolean), segments)
    if (ids === undefined) continue
    isKnown = true
    if (route.method !== wanted) continue
    for (const [name, id] of Object.entries(ids))
      if (!FREE_IDS.has(name) && !UUID.test(id))
        throw new ApiError(400, 'Operation failed', `Invalid UUID string: ${id}`)
    return { route, ids }
  }
  throw new ApiError(isKnown ? 405 : 404, isKnown ? 'Method Not Allowed' : 'Not Found', undefined)
}

const matchPath = (pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined => {
  if (pattern.length !== segments.length) return undefined
  const ids: Record<string, string> = {}
  for (const [n, part] of pattern.entries()) {
    const segment = segments[n] ?? ''
    if (part.startsWith(':')) ids[part.slice(1)] = segment
    else if (part !== segment) return undefined
  }
  return ids
}
