/**
 * Sign-in: tokens from the SSO service for passwords and Kerberos tickets, Basic, and cookie sessions. A session ends after 30 idle minutes.
 *
 * @see CONTRACT §1.1, §1.2
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { World } from '../model/world.ts'
import { htmlReply } from './reply.ts'
import type { Reply } from './reply.ts'

/** UserSessionTimeOutInterval, and the longest age of a token. */
const IDLE_MS = 30 * 60_000
const MAX_AGE_MS = 360_000_000
/** The oldest are forgotten: nobody signs in without bounds. */
const MAX_SESSIONS = 10_000
/** The validity of an account without an end: Long.MAX. */
const NEVER = '9223372036854775807'

const REST_SCOPE = 'ovirt-app-api'
const HTTP_AUTH_GRANT = 'urn:ovirt:params:oauth:grant-type:http'

interface Session {
  readonly user: string
  readonly createdMs: number
  readonly idleMs: number
  lastMs: number
}

export class SignIn {
  readonly #world: World
  readonly #sessions = new Map<string, Session>()

  constructor(world: World) {
    this.#world = world
  }

  /** Ends all sessions, as a restarted engine does. */
  clear(): void {
    this.#sessions.clear()
  }

  /** Who asks, and the cookie to set where one is wanted; undefined for 401. */
  userOf(request: IncomingMessage): { user: string; headers: Record<string, string> } | undefined {
    const [scheme = '', credentials = ''] = (request.headers.authorization ?? '').split(' ', 2)
    const isPersistent = (request.headers['prefer'] ?? '').includes('persistent-auth')
    const cookie = /(?:^|;\s*)JSESSIONID=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
    const user = isPersistent && cookie !== undefined ? this.#touch(cookie) : undefined
    if (user !== undefined) return { user, headers: {} }
    switch (scheme.toLowerCase()) {
      case 'bearer': {
        const owner = this.#touch(credentials)
        return owner === undefined ? undefined : { user: owner, headers: {} }
      }
      case 'basic':
        return this.#basic(credentials, isPersistent ? ttlOf(request) : undefined)
      default:
        return undefined
    }
  }

  #basic(
    credentials: string,
    idleMs: number | undefined,
  ): { user: string; headers: Record<string, string> } | undefined {
    const [, user = '', password = ''] = /^([^]*?):([^]*)$/.exec(Buffer.from(credentials, 'base64').toString()) ?? []
    if (!this.#isRight(user, password)) return undefined
    if (idleMs === undefined) return { user, headers: {} }
    return { user, headers: { 'set-cookie': `JSESSIONID=${this.#open(user, idleMs)}; Path=/ovirt-engine/api; Secure` } }
  }

  /** POST /ovirt-engine/sso/oauth/token */
  token(request: IncomingMessage, body: string): Reply {
    const form = new URLSearchParams(body)
    const problem = problemOf(request, form, 'password')
    if (problem !== undefined) return problem
    const name = form.get('username') ?? ''
    // What comes after the last @ is the profile.
    if (!name.includes('@'))
      return refusal(form, 'access_denied', `Cannot authenticate user No valid profile found in credentials..`)
    if (!this.#isRight(name, form.get('password') ?? ''))
      return refusal(
        form,
        'access_denied',
        `Cannot authenticate user '${name}': The username or password is incorrect..`,
      )
    return this.#granted(form, name)
  }

  /** POST /ovirt-engine/sso/oauth/token-http-auth: whom the web server in front has known by a Kerberos ticket. */
  negotiatedToken(request: IncomingMessage, body: string): Reply {
    const [scheme = '', ticket = ''] = (request.headers.authorization ?? '').split(' ', 2)
    const account = [...this.#world.accounts.values()].find(one => one.kerberosTicket === ticket)
    if (scheme.toLowerCase() !== 'negotiate' || account === undefined)
      return htmlReply(401, 'Unauthorized', { 'www-authenticate': 'Negotiate' })
    const form = new URLSearchParams(body)
    return problemOf(request, form, HTTP_AUTH_GRANT) ?? this.#granted(form, account.name)
  }

  #granted(form: URLSearchParams, name: string): Reply {
    const scope = form.get('scope') ?? ''
    return ssoReply(200, { access_token: this.#open(name), scope, exp: NEVER, token_type: 'bearer' })
  }

  /** POST /ovirt-engine/services/sso-logout */
  logout(body: string): Reply {
    this.#sessions.delete(new URLSearchParams(body).get('token') ?? '')
    return ssoReply(200, {})
  }

  #isRight(name: string, password: string): boolean {
    const account = this.#world.accounts.get(name)
    return account !== undefined && account.password === password
  }

  #open(user: string, idleMs = IDLE_MS): string {
    const token = randomBytes(64).toString('base64url')
    const now = this.#world.clock.now()
    this.#sessions.set(token, { user, createdMs: now, idleMs, lastMs: now })
    for (const oldest of this.#sessions.keys()) if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(oldest)
    return token
  }

  #touch(token: string): string | undefined {
    const session = this.#sessions.get(token)
    if (session === undefined) return undefined
    const now = this.#world.clock.now()
    if (now - session.lastMs > session.idleMs || now - session.createdMs > MAX_AGE_MS) {
      this.#sessions.delete(token)
      return undefined
    }
    session.lastMs = now
    return session.user
  }
}

/** The refusal of a request that asks for no token of this API. */
const problemOf = (request: IncomingMessage, form: URLSearchParams, grantType: string): Reply | undefined => {
  // String equality in the engine's code: a list of types does not do.
  if (request.headers.accept !== 'application/json')
    return refusal(form, 'invalid_request', "The request 'Accept' header must be 'application/json'")
  if (form.get('grant_type') !== grantType)
    return refusal(form, 'unsupported_grant_type', `unsupported grant type ${form.get('grant_type')}`)
  if (!(form.get('scope') ?? '').split(' ').includes(REST_SCOPE))
    return refusal(form, 'invalid_scope', `${REST_SCOPE} scope is missing`)
  return undefined
}

/** Errors are 400, in the engine's own shape where the scope is that of the API alone, else in that of OAuth. */
const refusal = (form: URLSearchParams, error: string, description: string): Reply =>
  ssoReply(
    400,
    form.get('scope') === REST_SCOPE
      ? { error_code: error, error: description }
      : { error, error_description: description },
  )

/** `Session-TTL`, minutes, of the first request of a session. */
const ttlOf = (request: IncomingMessage): number => {
  const minutes = Number(request.headers['session-ttl'] ?? Number.NaN)
  return Number.isInteger(minutes) && minutes > 0 ? minutes * 60_000 : IDLE_MS
}

const ssoReply = (status: number, body: object): Reply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
