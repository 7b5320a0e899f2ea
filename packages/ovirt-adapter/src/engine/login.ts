/**
 * Signs in to an engine: one token shared by all that ask at once, and thrown away when the engine no longer knows it.
 *
 * @see docs/ovirt-adapter.md, "Signing in"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { faultError, isUnavailable } from './faults.ts'
import { parseJson, textOf } from './json.ts'
import type { HttpAnswer, Transport } from './transport.ts'

export interface Credentials {
  /** With its profile: `admin@internal`, `admin@ovirt@internalsso`. */
  readonly username: string
  readonly password: string
  /** @default 'password' */
  readonly grantType?: string
}

const TOKEN_PATH = '/sso/oauth/token'
const LOGOUT_PATH = '/services/sso-logout'
const MOST_ANSWER_BYTES = 65_536

/** The engine compares this header letter by letter. */
const HEADERS = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' }

export class Login {
  readonly #send: (path: string, body: string, options: AbortOptions) => Promise<HttpAnswer>
  readonly #credentials: Credentials
  #pending: Promise<string> | undefined
  #token: string | undefined

  constructor(transport: Transport, base: string, credentials: Credentials, timeoutMs: number) {
    this.#credentials = credentials
    this.#send = async (path, body, { signal }) =>
      await transport.send({
        method: 'POST',
        url: base + path,
        headers: HEADERS,
        body,
        signal,
        timeoutMs,
        mostBytes: MOST_ANSWER_BYTES,
      })
  }

  /** What must be kept out of every message. */
  get secrets(): readonly string[] {
    return [this.#credentials.password, this.#token ?? '']
  }

  /**
   * The token: the one we have, or the one that is being fetched, or a new one.
   *
   * @throws GranaryError `GRANARY_PERMISSION` when the engine refuses user and password
   */
  async token(): Promise<string> {
    // The shared login heeds nobody's signal: whoever leaves must not end it for the others.
    this.#pending ??= this.#fetch().catch((error: unknown) => {
      this.#pending = undefined
      throw error
    })
    return await this.#pending
  }

  /** The engine no longer knows this token; one that was fetched since then stays. */
  invalidate(token: string): void {
    if (this.#token !== token) return
    this.#token = undefined
    this.#pending = undefined
  }

  /** Ends the engine's session. */
  async logout(options: AbortOptions = {}): Promise<void> {
    const token = this.#token
    if (token === undefined) return
    this.invalidate(token)
    await this.#send(LOGOUT_PATH, new URLSearchParams({ scope: 'ovirt-app-api', token }).toString(), options)
  }

  async #fetch(): Promise<string> {
    const { username, password, grantType = 'password' } = this.#credentials
    const form = new URLSearchParams({ grant_type: grantType, scope: 'ovirt-app-api', username, password })
    const answer = await this.#send(TOKEN_PATH, form.toString(), {})
    const token =
      answer.status === 200 ? textOf(parseJson(answer.text, 'the answer to the login'), 'access_token') : undefined
    if (token !== undefined) return (this.#token = token)
    throw this.#refused(answer)
  }

  /** Wrong credentials come as 400; whatever else is wrong may pass. */
  #refused(answer: HttpAnswer): GranaryError {
    const error = faultError(answer, { method: 'POST', path: TOKEN_PATH, hide: this.secrets })
    if (isUnavailable(answer) || answer.status >= 500) return error
    return new GranaryError(
      'GRANARY_PERMISSION',
      `the engine refuses user ${this.#credentials.username}: ${error.message}`,
      {
        detail: error.detail,
        hint: 'check user name (with its profile, such as admin@internal or admin@ovirt@internalsso) and password',
      },
    )
  }
}
