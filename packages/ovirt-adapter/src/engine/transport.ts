/**
 * One HTTP exchange over undici: a time limit, a bound on the answer, and errors that say whether the request can have been
 * applied.
 *
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { Agent, request } from 'undici'

export interface HttpRequest extends AbortOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** For the whole answer. */
  readonly timeoutMs: number
  readonly mostBytes: number
}

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

export interface Transport extends AsyncDisposable {
  send(request: HttpRequest): Promise<HttpAnswer>
}

/** Connections to one peer: an engine answers a few requests at once, more only queue there. */
const MOST_CONNECTIONS = 8

/** @param ca certificates in PEM; undefined trusts what the system trusts */
export const openTransport = (ca: string | undefined): Transport => {
  const agent = new Agent({
    connections: MOST_CONNECTIONS,
    connect: ca === undefined ? {} : { ca },
    // The time limit is the request's own.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  return {
    send: async outgoing => await exchange(agent, outgoing),
    [Symbol.asyncDispose]: async () => await agent.destroy(),
  }
}

const exchange = async (agent: Agent, outgoing: HttpRequest): Promise<HttpAnswer> => {
  const { method, url, headers, body, signal, timeoutMs } = outgoing
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    signal?.throwIfAborted()
    const answer = await request(url, {
      dispatcher: agent,
      method,
      headers,
      body: body ?? null,
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    })
    const text = await readBounded(answer.body, outgoing)
    return { status: answer.statusCode, contentType: String(answer.headers['content-type'] ?? ''), text }
  } catch (error) {
    signal?.throwIfAborted()
    throw translate(error, outgoing, limit.aborted)
  }
}

const readBounded = async (
  body: AsyncIterable<Uint8Array>,
  { mostBytes, url }: Pick<HttpRequest, 'mostBytes' | 'url'>,
): Promise<string> => {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of body) {
    sizeBytes += chunk.length
    if (sizeBytes > mostBytes) {
      throw new GranaryError('GRANARY_LIMIT', `${pathOf(url)}: the answer has more than ${mostBytes} bytes`, {
        detail: { path: pathOf(url), mostBytes },
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The peer was never reached, so nothing was applied. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

const CERTIFICATE = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_SSL)/

const translate = (error: unknown, { method, url, timeoutMs }: HttpRequest, isLate: boolean): unknown => {
  if (isGranaryError(error)) return error
  const code = codeOf(error)
  const where = { method, path: pathOf(url), host: new URL(url).host }
  if (CERTIFICATE.test(code)) {
    return new GranaryError('GRANARY_AUTHENTICATION', `${where.host}: its certificate is not trusted (${code})`, {
      detail: { ...where, system: code },
      cause: error,
      hint: 'give the certificate authority of this address, and the host name that stands in its certificate',
    })
  }
  const isApplied = NOT_SENT.has(code) ? 'no' : 'unknown'
  if (isLate) {
    return new GranaryError('GRANARY_TIMEOUT', `${method} ${where.path}: no answer in ${timeoutMs / 1000} s`, {
      detail: { ...where, isApplied },
      cause: error,
      retryable: true,
    })
  }
  return new GranaryError('GRANARY_IO', `${method} ${where.path}: ${where.host} does not answer (${code})`, {
    detail: { ...where, system: code, isApplied },
    cause: error,
    retryable: true,
  })
}

/** Errors of several addresses of one name come as one with many. */
const codeOf = (error: unknown): string => {
  const found = error as { code?: unknown; cause?: { code?: unknown }; errors?: readonly { code?: unknown }[] }
  return String(found.code ?? found.cause?.code ?? found.errors?.[0]?.code ?? 'no code')
}

const pathOf = (url: string): string => new URL(url).pathname
