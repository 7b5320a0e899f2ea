/** What goes wrong between us and imageio, in our terms. CONTRACT §6.7 @module */
import { GranaryError } from '@granary/core'
import type { ErrorCode, ErrorDetail } from '@granary/core'
import type { ImageAnswer, ImageRequest } from './image-request.ts'

/** Longest part of a server's own words that is shown. */
const SHOWN_LENGTH = 200

interface Meaning {
  readonly code: ErrorCode
  readonly retryable?: boolean
  readonly hint?: string
}

/** By status. Others are `GRANARY_REMOTE`. */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  403: {
    code: 'GRANARY_PERMISSION',
    hint: 'ask the engine for the phase of the transfer: its ticket has expired, was cancelled, or its host was restarted',
  },
  404: { code: 'GRANARY_UNSUPPORTED' },
  405: { code: 'GRANARY_UNSUPPORTED' },
  416: { code: 'GRANARY_SIZE', hint: 'the image is smaller than the disk: was it resized?' },
}

/** An answer that is an error: 5xx may be repeated, everything else will be the same again. */
export const answerError = ({ status, text }: ImageAnswer, what: string): GranaryError => {
  const { code, hint, retryable = status >= 500 }: Meaning = MEANINGS[status] ?? { code: 'GRANARY_REMOTE' }
  const words = withoutTickets(text.trim().slice(0, SHOWN_LENGTH))
  return new GranaryError(code, `imageio, ${what}: ${status}${words === '' ? '' : `, ${words}`}`, {
    detail: { status, what },
    retryable,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** Whoever knows a ticket's id may use it. */
const withoutTickets = (text: string): string =>
  text.replaceAll(/\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b/gi, '(id)').replaceAll(/\p{Cc}+/gu, ' ')

/** Nobody was reached: another address may do. */
const NOT_REACHED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EACCES',
  'ENOENT',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
])

const CERTIFICATE = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_SSL)/

/** A connection that could not be had, or broke. */
export const transportError = (error: unknown, { what }: Pick<ImageRequest, 'what'>): unknown => {
  const system = systemCode(error)
  const detail = { what, system }
  if (CERTIFICATE.test(system))
    return new GranaryError('GRANARY_AUTHENTICATION', `imageio, ${what}: its certificate is not trusted (${system})`, {
      detail,
      cause: error,
      hint: "give the engine's internal authority (`imageio_ca_info`), and check that the host's certificate has not expired",
    })
  const isTimeout = system === 'UND_ERR_HEADERS_TIMEOUT' || system === 'UND_ERR_BODY_TIMEOUT'
  const isReached = !NOT_REACHED.has(system)
  const text = isTimeout ? 'no answer in time' : isReached ? 'the connection broke' : 'not reachable'
  return new GranaryError(isTimeout ? 'GRANARY_TIMEOUT' : 'GRANARY_IO', `imageio, ${what}: ${text} (${system})`, {
    detail: { ...detail, isReached },
    cause: error,
    retryable: true,
    ...(isReached
      ? {}
      : { hint: 'check that port 54322 of the host, or 54323 of the engine, is open for this machine' }),
  })
}

/** Errors of several addresses of one name come as one with many. */
const systemCode = (error: unknown): string => {
  const found = error as { code?: unknown; cause?: { code?: unknown }; errors?: readonly { code?: unknown }[] }
  return String(found.code ?? found.cause?.code ?? found.errors?.[0]?.code ?? 'no code')
}

/** The server says what cannot be. */
export const protocolError = (message: string, detail: ErrorDetail): GranaryError =>
  new GranaryError('GRANARY_PROTOCOL', `imageio: ${message}`, { detail })
