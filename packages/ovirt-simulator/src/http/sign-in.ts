/**
 * Sign-in: tokens from the SSO service, Basic, and cookie sessions. A session ends after 30 idle minutes.
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
/** The validity of an account without an end: Long.MAX. */
const NEVER = '9223372036854775807'

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

  /** How many are signed in. */
  get size(): number {
    return this.#sessions.size
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
    const scope = form.get('scope') ?? ''
    const refuse = (error: string, description: string): Reply =>
      ssoReply(
        400,
        scope === 'ovirt-app-api'
          ? { error_code: error, error: description }
          : { error, error_description: description },
      )
    // String equality in the engine's code: a list of types does not do.
    if (request.headers.accept !== 'application/json')
      return refuse('invalid_request', "The request 'Accept' header must be 'application/json'")
    if (form.get('grant_type') !== 'password')
      return refuse('unsupported_grant_type', `unsupported grant type ${form.get('grant_type')}`)
    if (!scope.split(' ').includes('ovirt-app-api')) return refuse('invalid_scope', 'ovirt-app-api scope is missing')
    const name = form.get('username') ?? ''
    if (!name.includes('@'))
      return refuse('access_denied', `Cannot authenticate user No valid profile found in credentials..`)
    if (!this.#isRight(name, form.get('password') ?? ''))
      return refuse('access_denied', `Cannot authenticate user '${name}': The username or password is incorrect..`)
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

/** GET /ovirt-engine/services/pki-resource: anonymous (CONTRACT §1.3). */
export const pkiReply = (query: string, certificates: { ca: string; engine: string }): Reply => {
  const { resource, format } = Object.fromEntries(new URLSearchParams(query))
  const byName: Readonly<Record<string, string>> = {
    'ca-certificate': certificates.ca,
    'qemu-ca-certificate': certificates.ca,
    'engine-certificate': certificates.engine,
  }
  const pem = byName[resource ?? '']
  const formats: Readonly<Record<string, string>> = {
    'X509-PEM': 'application/x-x509-cert',
    'X509-PEM-CA': 'application/x-x509-ca-cert',
  }
  const type = formats[format ?? 'X509-PEM']
  if (pem === undefined || type === undefined) return htmlReply(400, 'Bad Request')
  return { status: 200, headers: { 'content-type': type }, body: pem }
}
