/** From a request to its reply: who asks, for what, with which body. @module */
import type { IncomingMessage } from 'node:http'
import { decodeJson } from '../codec/json.ts'
import type { Knows } from '../codec/json.ts'
import { decodeXml } from '../codec/xml.ts'
import { API_PATH, attributesOf } from '../model/schema.ts'
import type { Attributes, TypeName } from '../model/schema.ts'
import type { Answer } from './answer.ts'
import { UsageError } from './api-error.ts'
import { flag, parseTarget } from './call.ts'
import type { Call } from './call.ts'
import { follow } from './follow.ts'
import { pkiReply } from './pki.ts'
import type { PkiCertificates } from './pki.ts'
import { errorReply, htmlReply, replyOf, unauthorizedReply } from './reply.ts'
import type { Reply } from './reply.ts'
import { findRoute } from './routes.ts'
import type { Route } from './routes.ts'
import type { SignIn } from './sign-in.ts'

export interface Site {
  readonly routes: readonly Route[]
  readonly signIn: SignIn
  readonly knows: Knows
  readonly certificates: PkiCertificates
}

export interface Incoming {
  readonly request: IncomingMessage
  readonly body: string
  readonly wait: Call['wait']
}

export const dispatch = async (site: Site, { request, body, wait }: Incoming): Promise<Reply> => {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  if (request.method === 'POST') {
    if (path === '/ovirt-engine/sso/oauth/token') return site.signIn.token(request, body)
    if (path === '/ovirt-engine/sso/oauth/token-http-auth') return site.signIn.negotiatedToken(request, body)
    if (path === '/ovirt-engine/services/sso-logout') return site.signIn.logout(body)
  }
  if (path === '/ovirt-engine/services/pki-resource') return pkiReply(query, site.certificates)
  try {
    const target = parseTarget(request)
    if (target === undefined) return htmlReply(404, 'Not Found')
    const identity = site.signIn.userOf(request)
    if (identity === undefined) return unauthorizedReply()
    const reply = await answerCall(site, request, { ...target, user: identity.user, body, wait })
    return { ...reply, headers: { ...reply.headers, ...identity.headers } }
  } catch (error) {
    return errorReply(request, error, false)
  }
}

interface Request {
  readonly segments: readonly string[]
  readonly parameters: ReadonlyMap<string, string>
  readonly user: string
  readonly body: string
  readonly wait: Call['wait']
}

const answerCall = async (site: Site, request: IncomingMessage, asked: Request): Promise<Reply> => {
  const { route, ids } = findRoute(site.routes, request.method ?? 'GET', asked.segments)
  try {
    const call: Call = {
      ...asked,
      method: route.method,
      ids,
      body: route.body === undefined ? {} : decodeBody(request, route.body, asked.body, site.knows),
      prefersBlocking: (request.headers['expect'] ?? '').includes('201-created'),
      fetch: async href => await fetchInside(site, asked, href),
    }
    const answer = actionOf(call, await route.run(call))
    return replyOf(request, wantsNoWait(request, call) ? unfinished(answer) : await followed(answer, call))
  } catch (error) {
    return errorReply(request, error, route.failsAsAction ?? false)
  }
}

const decodeBody = (request: IncomingMessage, type: TypeName, body: string, knows: Knows): Attributes => {
  const contentType = request.headers['content-type'] ?? ''
  if (body.trim() === '') throw new UsageError('the body is missing')
  return contentType.includes('json') ? decodeJson(type, body, knows) : decodeXml(type, body, knows)
}

/** `async=true` or `Expect: 202-accepted`: an action is answered before it is done (CONTRACT §0.2). */
const wantsNoWait = (request: IncomingMessage, call: Call): boolean =>
  flag(call, 'async') || (request.headers['expect'] ?? '').includes('202-accepted')

const unfinished = (answer: Answer): Answer =>
  answer.type === 'Action' && answer.status === 200
    ? { ...answer, status: 202, entity: { ...answer.entity, async: true, status: 'in_progress' } }
    : answer

/** What all actions are answered with: the fields of the request, and where the tasks are that still run. */
const actionOf = ({ body, segments }: Call, answer: Answer): Answer => {
  if (answer.type !== 'Action') return answer
  const { id: _, ...echo } = body
  if (answer.status !== 202) return { ...answer, entity: { ...echo, ...answer.entity } }
  const href = `${API_PATH}/${segments.join('/')}`
  const link = [
    { href: `${API_PATH}/${segments.slice(0, -1).join('/')}`, rel: 'parent' },
    { href, rel: 'replay' },
  ]
  return { ...answer, entity: { ...echo, ...answer.entity, link, href: `${href}/taskids`, id: 'taskids' } }
}

const followed = async (answer: Answer, call: Call): Promise<Answer> => {
  if (call.method !== 'GET') return answer
  const { type, entity, list } = answer
  const paths = followedPaths(type, call)
  if (paths === '') return answer
  if (entity !== undefined) return { ...answer, entity: await follow(type, entity, paths, call.fetch) }
  const items: Attributes[] = []
  for (const item of list ?? []) items.push(await follow(type, item, paths, call.fetch))
  return { ...answer, list: items }
}

/** `follow`, and its ancestor of which only `detail=statistics` is left. */
const followedPaths = (type: TypeName, { parameters }: Call): string => {
  const details = (parameters.get('detail') ?? '').split(/[ ,+]/)
  const wantsStatistics = details.includes('statistics') && attributesOf(type).has('statistics')
  return [parameters.get('follow') ?? '', wantsStatistics ? 'statistics' : ''].filter(Boolean).join(',')
}

/** Looks another resource up for `follow`, with the same rights and the same parameters that matter. */
const fetchInside = async (site: Site, asked: Request, href: string): Promise<Answer> => {
  const segments = href.slice(API_PATH.length).split('/').filter(Boolean)
  const { route, ids } = findRoute(site.routes, 'GET', segments)
  const parameters = new Map(flag(asked, 'all_content') ? [['all_content', 'true']] : [])
  const fetch = async (deeper: string): Promise<Answer> => await fetchInside(site, asked, deeper)
  return await route.run({
    ...asked,
    segments,
    ids,
    parameters,
    method: 'GET',
    body: {},
    prefersBlocking: false,
    fetch,
  })
}
