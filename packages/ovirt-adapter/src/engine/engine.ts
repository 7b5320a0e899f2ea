/**
 * The engine's REST interface: signed in, patient with an engine that is away or busy, and sure of what became of a request
 * whose answer was lost.
 *
 * @see docs/ovirt-adapter.md, "The engine client"
 * @module
 */
import { rootCertificates } from 'node:tls'
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { systemClock } from '@granary/dedup-store'
import type { Clock } from '@granary/dedup-store'
import { engineBase } from './address.ts'
import { faultError } from './faults.ts'
import { parseJson } from './json.ts'
import type { Json } from './json.ts'
import { Login } from './login.ts'
import type { Credentials } from './login.ts'
import { fetchInternalCa } from './pki.ts'
import { mayBeApplied, retry } from './retry.ts'
import { openTransport } from './transport.ts'
import type { HttpAnswer, Transport } from './transport.ts'

export interface EngineOptions extends Credentials {
  /** Host name, or address with or without its path. */
  readonly url: string
  /** Certificates, PEM, that the engine's own must come from. @default what the system trusts */
  readonly apiCa?: string
  /** The same for imageio on hosts. @default the engine's internal authority, fetched from it */
  readonly imageioCa?: string
  readonly clock?: Clock
  /** For one answer, 1..300 s. @default 10_000 */
  readonly answerTimeoutMs?: number
  /** How long an engine may be away before a call fails. @default 1_800_000 */
  readonly outageTimeoutMs?: number
  /** Told of every exchange: never of bodies, passwords or tokens. */
  readonly onExchange?: (exchange: Exchange) => void
}

export interface Exchange {
  readonly method: string
  readonly path: string
  /** Undefined when there was no answer. */
  readonly status: number | undefined
  readonly durationMs: number
}

/** Values of `undefined` are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface CallOptions extends AbortOptions {
  readonly query?: Query
  /** How long a 409 is repeated. @default 0 */
  readonly conflictTimeoutMs?: number
  /** For calls that the engine answers late on purpose. @default the engine's */
  readonly answerTimeoutMs?: number
}

export interface CreateOptions extends CallOptions {
  /**
   * Looks for what an earlier attempt made, when its answer was lost. Without it a lost answer is an error whose
   * `detail.isApplied` is `unknown`.
   */
  readonly find?: () => Promise<Json | undefined>
}

interface Call extends CallOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body?: object
}

const ANSWER_TIMEOUT_MS = 10_000
const OUTAGE_TIMEOUT_MS = 1_800_000

/** A list of five thousand machines has 30 MiB. */
const MOST_ANSWER_BYTES = 128 * 1024 * 1024

export class Engine implements AsyncDisposable {
  /** Such as `https://engine.example/ovirt-engine`. */
  readonly base: string
  readonly clock: Clock
  readonly #transport: Transport
  readonly #login: Login
  readonly #options: EngineOptions
  #imageioCa: Promise<string> | undefined

  constructor(options: EngineOptions) {
    this.base = engineBase(options.url)
    this.clock = options.clock ?? systemClock
    this.#options = options
    this.#transport = openTransport(options.apiCa)
    this.#login = new Login(this.#transport, this.base, options, this.#answerTimeoutMs)
  }

  get #answerTimeoutMs(): number {
    return this.#options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS
  }

  /** How long an engine may be away before a call fails, ms. */
  get outageTimeoutMs(): number {
    return this.#options.outageTimeoutMs ?? OUTAGE_TIMEOUT_MS
  }

  /** @returns what stands there; undefined for 404 */
  async find(path: string, options: CallOptions = {}): Promise<Json | undefined> {
    const answer = await this.#call({ ...options, method: 'GET', path }, [200, 404])
    return answer.status === 404 ? undefined : parseJson(answer.text, path)
  }

  /** @throws GranaryError `GRANARY_NOT_FOUND` for 404 */
  async get(path: string, options: CallOptions = {}): Promise<Json> {
    const found = await this.find(path, options)
    if (found !== undefined) return found
    throw new GranaryError('GRANARY_NOT_FOUND', `the engine has no ${path}`, { detail: { path, status: 404 } })
  }

  /**
   * POSTs what is to be made. When the answer is lost it looks whether it was made, and only repeats what was not.
   *
   * @throws GranaryError `GRANARY_LOCKED` for 409, `GRANARY_PERMISSION` for 403, `GRANARY_REMOTE` for other refusals, with
   * `detail.status` and `detail.fault`
   */
  async create(path: string, body: object, { find, ...options }: CreateOptions = {}): Promise<Json> {
    let isLost = false
    const attempt = async (): Promise<Json> => {
      const made = isLost ? await find?.() : undefined
      if (made !== undefined) return made
      try {
        return parseJson((await this.#once({ ...options, method: 'POST', path, body }, [200, 201, 202])).text, path)
      } catch (error) {
        // A refusal after a lost answer may be about what that request made.
        const other = isLost && !mayBeApplied(error) ? await find?.() : undefined
        if (other !== undefined) return other
        isLost ||= mayBeApplied(error)
        throw isLost && find === undefined ? withoutRetry(error) : error
      }
    }
    return await retry(attempt, this.#patience(options))
  }

  /** Changes part of what stands there; the same again is no harm, so it is repeated until answered. */
  async update(path: string, body: object, options: CallOptions = {}): Promise<Json> {
    return parseJson((await this.#call({ ...options, method: 'PUT', path, body }, [200, 202])).text, path)
  }

  /** @returns false when it wasn't there (any more) */
  async remove(path: string, options: CallOptions = {}): Promise<boolean> {
    const { status } = await this.#call({ ...options, method: 'DELETE', path }, [200, 202, 204, 404])
    return status !== 404
  }

  /**
   * An action that may be asked for twice, such as `finalize`: repeated until answered. A refusal after a lost answer is for
   * the caller to judge by the state of things.
   */
  async act(path: string, body: object = {}, options: CallOptions = {}): Promise<Json> {
    return parseJson((await this.#call({ ...options, method: 'POST', path, body }, [200, 201, 202])).text, path)
  }

  /** Certificates, PEM, that imageio's must come from. */
  async imageioCa(options: AbortOptions = {}): Promise<string> {
    if (this.#options.imageioCa !== undefined) return this.#options.imageioCa
    const timeoutMs = this.#answerTimeoutMs
    this.#imageioCa ??= retry(
      async () => await fetchInternalCa(this.#transport, this.base, timeoutMs),
      this.#patience({}),
    ).catch((error: unknown) => {
      this.#imageioCa = undefined
      throw error
    })
    options.signal?.throwIfAborted()
    return await this.#imageioCa
  }

  /** The same for imageio's proxy, which is beside the engine and may have its certificate. */
  async proxyCa(options: AbortOptions = {}): Promise<string> {
    return [await this.imageioCa(options), this.#options.apiCa ?? rootCertificates.join('\n')].join('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#login.logout().catch(() => undefined) // The engine ends idle sessions by itself.
    await this.#transport[Symbol.asyncDispose]()
  }

  #patience({ conflictTimeoutMs = 0, signal }: CallOptions): Parameters<typeof retry>[1] {
    return { clock: this.clock, outageTimeoutMs: this.outageTimeoutMs, conflictTimeoutMs, signal }
  }

  async #call(call: Call, accepted: readonly number[]): Promise<HttpAnswer> {
    return await retry(async () => await this.#once(call, accepted), this.#patience(call))
  }

  /** One exchange; with a fresh token when the engine has forgotten ours, since then nothing was applied. */
  async #once(call: Call, accepted: readonly number[]): Promise<HttpAnswer> {
    const token = await this.#login.token()
    let answer = await this.#send(call, token)
    if (answer.status === 401) {
      this.#login.invalidate(token)
      answer = await this.#send(call, await this.#login.token())
    }
    const isPage = answer.contentType.includes('html') && answer.text !== ''
    if (accepted.includes(answer.status) && !(answer.status === 404 && isPage)) return answer
    throw faultError(answer, { method: call.method, path: call.path, hide: this.#login.secrets })
  }

  async #send({ method, path, query, body, signal, answerTimeoutMs }: Call, token: string): Promise<HttpAnswer> {
    const startMs = performance.now()
    let status: number | undefined
    try {
      const answer = await this.#transport.send({
        method,
        url: `${this.base}/api${path}${queryText(query)}`,
        headers: {
          accept: 'application/json',
          'accept-language': 'en-US',
          'content-type': 'application/json',
          authorization: `Bearer ${token}`,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal,
        timeoutMs: answerTimeoutMs ?? this.#answerTimeoutMs,
        mostBytes: MOST_ANSWER_BYTES,
      })
      status = answer.status
      return answer
    } finally {
      this.#options.onExchange?.({ method, path, status, durationMs: performance.now() - startMs })
    }
  }
}

const queryText = (query: Query = {}): string => {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string | number | boolean] => entry[1] !== undefined,
  )
  if (given.length === 0) return ''
  return `?${new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)]))).toString()}`
}

const withoutRetry = (error: unknown): unknown =>
  error instanceof GranaryError
    ? new GranaryError(error.code, `${error.message}; it may have been done all the same`, {
        detail: { ...error.detail, isApplied: 'unknown' },
        cause: error,
      })
    : error
