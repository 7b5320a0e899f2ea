/** An image of another daemon, as the proxy reads and writes it: everything goes on by HTTP. @module */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import type { Bytes, DiskReader, DiskWriter, Extent, ExtentOptions } from '@granary/core'
import { clipExtents, overlayExtents } from '@granary/core'
import { HttpFailure } from './http-failure.ts'
import { MAX_CONNECTIONS } from './backend.ts'

interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly sizeBytes: number
}

interface Call {
  readonly method: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Bytes | string
}

/** Header of a ranged answer. */
const sizeOf = (response: IncomingMessage): number => Number(response.headers['content-range']?.split('/')[1] ?? 0)

/**
 * Opens the image behind a ticket of another daemon.
 *
 * @throws HttpFailure with what the daemon answered
 */
export const openRemoteImage = async (
  url: string,
  { ca }: { readonly ca: string | undefined },
): Promise<DiskReader & DiskWriter> => {
  const isTls = url.startsWith('https:')
  const agent = isTls
    ? new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, ...(ca === undefined ? {} : { ca }) })
    : undefined
  const call = async ({ method, path = '', headers = {}, body = '' }: Call): Promise<Answer> =>
    await new Promise((resolve, reject) => {
      const options: RequestOptions = {
        method,
        headers: { ...headers, ...(method === 'GET' ? {} : { 'content-length': Buffer.byteLength(body) }) },
        ...(agent === undefined ? {} : { agent }),
      }
      const begin = isTls ? httpsRequest : httpRequest
      const request = begin(`${url}${path}`, options, response => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.once('error', reject)
        response.once('end', () => {
          const answer = { status: response.statusCode ?? 0, body: Buffer.concat(parts), sizeBytes: sizeOf(response) }
          if (answer.status < 300) resolve(answer)
          else reject(new HttpFailure(answer.status, answer.body.toString('utf8').trimEnd()))
        })
      })
      request.once('error', reject)
      request.end(body)
    })
  const { sizeBytes } = await call({ method: 'GET', headers: { range: 'bytes=0-0' } })
  return remoteDisk(call, sizeBytes, () => agent?.destroy())
}

const remoteDisk = (
  call: (call: Call) => Promise<Answer>,
  sizeBytes: number,
  close: () => void,
): DiskReader & DiskWriter => ({
  sizeBytes,
  blockBytes: 512,
  readsZero: false,
  async read(offset, target) {
    if (target.length === 0) return
    const { body } = await call({ method: 'GET', headers: { range: `bytes=${offset}-${offset + target.length - 1}` } })
    if (body.length !== target.length) throw new Error(`${body.length} bytes of ${target.length} came`)
    target.set(body)
  },
  async *extents({ offset = 0, length = sizeBytes - offset }: ExtentOptions = {}) {
    yield* clipExtents(joined(call), { offset, length })
  },
  async write(offset, bytes) {
    const headers = { 'content-range': `bytes ${offset}-${offset + bytes.length - 1}/*` }
    await call({ method: 'PUT', path: '?flush=n', headers, body: bytes })
  },
  async zero(offset, size) {
    await call({ method: 'PATCH', body: JSON.stringify({ op: 'zero', offset, size, flush: false }) })
  },
  async flush() {
    await call({ method: 'PATCH', body: JSON.stringify({ op: 'flush' }) })
  },
  async [Symbol.asyncDispose]() {
    close()
  },
})

interface Row {
  readonly start: number
  readonly length: number
  readonly zero: boolean
  readonly hole?: boolean
  readonly dirty?: boolean
}

/** Both contexts of the daemon behind; what is dirty is asked for, and left out where its ticket does not know. */
async function* joined(call: (call: Call) => Promise<Answer>): AsyncGenerator<Extent> {
  const list = async (context: string): Promise<Row[]> => {
    const { body } = await call({ method: 'GET', path: `/extents?context=${context}` })
    return JSON.parse(body.toString('utf8')) as Row[]
  }
  const zero = (await list('zero')).map(({ start, length, zero: isZero, hole }): Extent => ({
    offset: start,
    length,
    kind: isZero ? (hole === true ? 'hole' : 'zero') : 'data',
  }))
  const dirty = await list('dirty').catch((error: unknown) => {
    if (error instanceof HttpFailure && error.status === 404) return undefined
    throw error
  })
  if (dirty === undefined) return yield* zero
  const ranges = dirty.map(row => ({ offset: row.start, length: row.length, isDirty: row.dirty === true }))
  for await (const { extent, over } of overlayExtents(zero, ranges)) yield { ...extent, dirty: over?.isDirty ?? true }
}
