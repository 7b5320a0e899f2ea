/** One request to the API, taken apart. @module */
import type { IncomingMessage } from 'node:http'
import { ApiError } from './api-error.ts'
import type { Attributes } from '../model/schema.ts'
import { API_PATH } from '../model/schema.ts'

export interface Call {
  readonly method: string
  /** Decoded segments after `/ovirt-engine/api[/v4]`. */
  readonly segments: readonly string[]
  /** Query and matrix parameters; both are accepted, and some headers (CONTRACT §0.2). */
  readonly parameters: ReadonlyMap<string, string>
  /** Values of the pattern's `:names`. */
  readonly ids: Readonly<Record<string, string>>
  readonly body: Attributes
  /** Name of the account, `user@profile`. */
  readonly user: string
  /** `Expect: 201-created`: the answer waits until the tasks are done. */
  readonly prefersBlocking: boolean
  /** Waits on the clock while the client waits for its answer. */
  readonly wait: (ms: number) => Promise<void>
  /** Asks for another resource, as `follow` does. */
  readonly fetch: (href: string) => Promise<{ entity?: Attributes; list?: readonly Attributes[] }>
}

/** A boolean parameter: present without a value means true. `legacy` is the exception (CONTRACT §4.3). */
export const flag = (call: Pick<Call, 'parameters'>, name: string): boolean => {
  const value = call.parameters.get(name)
  return value !== undefined && (value === '' || value === 'true')
}

/** An integer parameter. @throws ApiError 400 when it is none */
export const integer = (call: Pick<Call, 'parameters'>, name: string): number | undefined => {
  const value = call.parameters.get(name)
  if (value === undefined || value === '') return undefined
  if (!/^-?\d{1,15}$/.test(value)) throw new ApiError(400, 'Invalid value', `Invalid value ${value} of ${name}`)
  return Number(value)
}

/** A path taken apart, and all parameters of its request. */
export interface Target {
  readonly segments: readonly string[]
  readonly parameters: ReadonlyMap<string, string>
}

/**
 * The path of a request split into segments, and its parameters; undefined outside the API.
 *
 * @throws UnsupportedVersion
 */
export const parseTarget = (request: IncomingMessage): Target | undefined => {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  if (!/^\/ovirt-engine\/api(?:$|[/;])/.test(path)) return undefined
  const parameters = new Map<string, string>()
  const segments = path
    .slice(API_PATH.length)
    .split('/')
    .map(part => takeMatrix(part, parameters))
    .filter(segment => segment !== '')
  for (const [name, value] of new URLSearchParams(query)) parameters.set(name, value)
  for (const name of ['filter', 'all-content']) {
    const value = request.headers[name]
    if (typeof value === 'string') parameters.set(name.replace('-', '_'), value)
  }
  return { segments: withoutVersion(segments, request.headers['version']), parameters }
}

const withoutVersion = (segments: readonly string[], header: string | string[] | undefined): readonly string[] => {
  const [, inPath] = /^v(\d+)$/.exec(segments[0] ?? '') ?? []
  const version = inPath ?? header ?? '4'
  if (version !== '4') throw new UnsupportedVersion()
  return inPath === undefined ? segments : segments.slice(1)
}

/** Only version 4 of the API exists. */
export class UnsupportedVersion extends Error {}

const takeMatrix = (part: string, parameters: Map<string, string>): string => {
  const [segment = '', ...matrix] = part.split(';')
  for (const pair of matrix) {
    const [name = '', value = ''] = pair.split('=', 2)
    parameters.set(decode(name), decode(value))
  }
  return decode(segment)
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new ApiError(400, 'Operation Failed', `Malformed escape in ${text}`)
  }
}
