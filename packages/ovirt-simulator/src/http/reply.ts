/** What goes over the wire: answers and errors in the format that the client accepts. @module */
import type { IncomingMessage } from 'node:http'
import { isGranaryError } from '@granary/core'
import { encodeEntity, encodeList } from '../codec/json.ts'
import { encodeEntityXml, encodeListXml } from '../codec/xml.ts'
import type { Answer } from './answer.ts'
import { ApiError, UsageError, operationFailed } from './api-error.ts'
import { UnsupportedVersion } from './call.ts'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** XML unless JSON is asked for: also without Accept and with any (CONTRACT §0.1). */
const wantsJson = (request: IncomingMessage): boolean =>
  (request.headers.accept ?? '').split(',').some(range => range.split(';')[0]?.trim() === 'application/json')

export const replyOf = (request: IncomingMessage, answer: Answer): Reply => {
  const { status, type, entity = {}, list, isListTouched, headers = {} } = answer
  const isJson = wantsJson(request)
  const contentType = `application/${isJson ? 'json' : 'xml'};charset=UTF-8`
  return { status, headers: { ...headers, 'content-type': contentType }, body: isJson ? json() : xml() }

  function json(): string {
    return toText(list === undefined ? encodeEntity(type, entity) : encodeList(type, list, isListTouched))
  }
  function xml(): string {
    return list === undefined ? encodeEntityXml(type, entity) : encodeListXml(type, list)
  }
}

/** Pretty printed with two spaces and a space before the colon; what is empty has a space in it. */
const toText = (json: unknown): string =>
  JSON.stringify(json, undefined, 2)
    .replaceAll(/^( *"(?:[^"\\]|\\.)*"):/gm, '$1 :')
    .replaceAll(/^( *(?:"(?:[^"\\]|\\.)*" : )?)([{[])([}\]])(,?)$/gm, '$1$2 $3$4')

/** A page of the container or web server in front: what comes instead of the API's own answers. */
export const htmlReply = (status: number, title: string, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { ...headers, 'content-type': 'text/html;charset=UTF-8' },
  body: `<html><head><title>Error</title></head><body>${title}</body></html>`,
})

export const unauthorizedReply = (): Reply =>
  htmlReply(401, 'Unauthorized', { 'www-authenticate': 'Basic realm="RESTAPI"' })

/** Answers what a service threw. @throws what is no error of the API: a fault of the simulator */
export const errorReply = (request: IncomingMessage, error: unknown, failsAsAction: boolean): Reply => {
  if (error instanceof UnsupportedVersion) return htmlReply(400, 'Bad Request')
  if (error instanceof UsageError) {
    const message = `Request syntactically incorrect: ${error.message}`
    return replyOf(request, { status: 400, type: 'UsageMessage', entity: { message } })
  }
  if (isGranaryError(error) && error.code === 'GRANARY_NO_SPACE')
    return errorReply(request, operationFailed(409, `Low disk space: ${error.message}.`), failsAsAction)
  if (!(error instanceof ApiError)) throw error
  const { status, reason, detail } = error
  if (detail === undefined) return { status, headers: {}, body: '' }
  const fault = { detail, reason }
  return failsAsAction
    ? replyOf(request, { status, type: 'Action', entity: { status: 'failed', fault } })
    : replyOf(request, { status, type: 'Fault', entity: fault })
}
