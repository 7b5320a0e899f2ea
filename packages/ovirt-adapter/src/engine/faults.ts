/**
 * What an engine's refusal means. Branching is by status, since texts are translated.
 *
 * @see docs/ovirt-adapter.md, "Refusals"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { ErrorCode } from '@granary/core'
import { isJson } from './json.ts'
import type { Json } from './json.ts'
import type { HttpAnswer } from './transport.ts'

/** Longer details are cut: they end in a log. */
const MOST_DETAIL = 500

/** 409 is "not now" throughout this interface; 404 with a page is an engine that is being deployed. */
export const isUnavailable = ({ status, contentType }: HttpAnswer): boolean =>
  status === 502 || status === 503 || status === 504 || (status === 404 && contentType.includes('html'))

/** The error for an answer that is none of 2xx. `hide` names what must not be shown: passwords and tokens. */
export const faultError = (
  answer: HttpAnswer,
  { method, path, hide }: { method: string; path: string; hide: readonly string[] },
): GranaryError => {
  const { status } = answer
  const fault = faultOf(answer)
  const said = hideIn(fault, hide)
  return new GranaryError(codeOf(answer), `${method} ${path}: ${status}${said === '' ? '' : `, ${said}`}`, {
    detail: { method, path, status, ...(said === '' ? {} : { fault: said }) },
    retryable: status === 409 || isUnavailable(answer),
    ...hintOf(status),
  })
}

const codeOf = (answer: HttpAnswer): ErrorCode => {
  if (isUnavailable(answer)) return 'GRANARY_REMOTE'
  if (answer.status === 401 || answer.status === 403) return 'GRANARY_PERMISSION'
  if (answer.status === 404) return 'GRANARY_NOT_FOUND'
  return answer.status === 409 ? 'GRANARY_LOCKED' : 'GRANARY_REMOTE'
}

const hintOf = (status: number): { hint?: string } => {
  if (status === 401) return { hint: 'check user name and password' }
  if (status === 403)
    return { hint: 'give the account the role SuperUser, or the permissions that docs/ovirt-adapter.md lists' }
  return {}
}

/** The fault's words: its own object, or one inside an action; nothing of a page or an empty body. */
export const faultOf = ({ text, contentType }: HttpAnswer): string => {
  if (text === '') return ''
  if (contentType.includes('html')) return 'a page instead of an answer'
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return ''
  }
  return isJson(body) ? wordsOf(isJson(body['fault']) ? body['fault'] : body) : ''
}

/** Faults, usage messages and both shapes of login errors. */
const wordsOf = (fault: Json): string =>
  [fault['reason'], fault['detail'], fault['message'], fault['error_code'], fault['error'], fault['error_description']]
    .filter(part => typeof part === 'string' && part !== '')
    .join(': ')
    .replaceAll(/\p{Cc}+/gu, ' ')
    .slice(0, MOST_DETAIL)

const hideIn = (text: string, hide: readonly string[]): string =>
  hide.reduce((shown, secret) => (secret === '' ? shown : shown.replaceAll(secret, '***')), text)
