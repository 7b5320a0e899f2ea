/** What OPTIONS says of an image. CONTRACT §6.1 @module */
import { protocolError } from './image-errors.ts'
import type { ImageAnswer } from './image-request.ts'

export interface ImageFeatures {
  readonly isWritable: boolean
  readonly hasExtents: boolean
  readonly hasZero: boolean
  readonly hasFlush: boolean
  readonly maxReaders: number
  readonly maxWriters: number
  /** The host's own socket; a leading NUL means the abstract namespace. */
  readonly unixSocket: string | undefined
}

/** More connections than that serve nobody, whatever a server says. */
const MOST_CONNECTIONS = 64

/** An answer without a body comes from an ancient daemon: it reads and writes, and nothing else. */
export const parseOptions = ({ text, headers }: ImageAnswer): ImageFeatures => {
  const body = parseBody(text)
  const features = Array.isArray(body['features']) ? body['features'] : []
  const unixSocket = body['unix_socket']
  const allow = String(headers['allow'] ?? 'GET,PUT').split(/,\s*/)
  return {
    isWritable: allow.includes('PUT'),
    hasExtents: features.includes('extents'),
    hasZero: features.includes('zero'),
    hasFlush: features.includes('flush'),
    maxReaders: countOf(body['max_readers']),
    maxWriters: countOf(body['max_writers']),
    unixSocket: typeof unixSocket === 'string' && unixSocket !== '' ? unixSocket : undefined,
  }
}

const parseBody = (text: string): Readonly<Record<string, unknown>> => {
  if (text.trim() === '') return {}
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw protocolError('OPTIONS is answered by what is no JSON object', {})
}

const countOf = (value: unknown): number =>
  Number.isSafeInteger(value) && (value as number) > 0 ? Math.min(value as number, MOST_CONNECTIONS) : 1
