/** Checks of parameters, with the daemon's own words. @module */
import { HttpFailure } from './http-failure.ts'
import { pythonRepr } from './python-text.ts'

export const oneOf = (name: string, value: unknown, values: readonly string[], fallback?: string): string => {
  if (value === undefined || value === null) {
    if (fallback !== undefined) return fallback
    throw new HttpFailure(400, `Missing required value for ${name}`)
  }
  if (typeof value === 'string' && values.includes(value)) return value
  const known = pythonRepr(values.toSorted())
  throw new HttpFailure(
    400,
    `Unsupported value ${pythonRepr(value)} for ${pythonRepr(name)}, expecting one of ${known}`,
  )
}

export const wholeNumber = (name: string, value: unknown, fallback?: number): number => {
  if (value === undefined) {
    if (fallback !== undefined) return fallback
    throw new HttpFailure(400, `Missing required value for ${pythonRepr(name)}`)
  }
  if (!Number.isSafeInteger(value)) throw new HttpFailure(400, `Integer required ${pythonRepr(value)}`)
  if ((value as number) < 0) throw new HttpFailure(400, `Invalid value ${String(value)} < 0`)
  return value as number
}

export const truth = (value: unknown, fallback: boolean): boolean => {
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw new HttpFailure(400, `Boolean required ${pythonRepr(value)}`)
  return value
}

/** What the ticket allows. */
export const allowedRange = (offset: number, length: number, sizeBytes: number): void => {
  if (offset + length <= sizeBytes) return
  throw new HttpFailure(416, 'Requested range out of allowed range', { contentRange: `bytes */${sizeBytes}` })
}

/** Fields of a JSON object; `what` begins the message. */
export const jsonObject = (text: string, what: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Python names the place; for a body that is no JSON at all it is the start.
  }
  throw new HttpFailure(400, `${what} Expecting value: line 1 column 1 (char 0)`)
}

/** Header `Range`: the first byte, and the last where one is given. */
export const parseRange = (header: string): { first: number; last: number | undefined } => {
  const refuse = (why: string): HttpFailure =>
    new HttpFailure(416, `Cannot satisfy range ${pythonRepr(header)}, ${why}`)
  const match = /^bytes=(\d*)-(\d*)$/.exec(header)
  if (match === null) throw refuse('invalid range or multiple ranges')
  const [, first = '', last = ''] = match
  if (first === '' && last === '') throw refuse('no first or last')
  if (first === '') throw new HttpFailure(416, 'suffix-byte-range-spec not supported yet')
  if (last !== '' && Number(first) > Number(last)) throw refuse('first > last')
  return { first: Number(first), last: last === '' ? undefined : Number(last) }
}

/** Header `Content-Range`: only its first byte counts. */
export const parseContentRange = (header: string): number => {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header)
  if (match === null) throw new HttpFailure(400, `Invalid Content-Range ${pythonRepr(header)}`)
  return Number(match[1])
}
