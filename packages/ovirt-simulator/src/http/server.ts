/** The engine's HTTPS server, and the faults between it and its clients. @module */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { SimulatorClock } from '../clock/clock.ts'
import type { HttpFault, HttpFaults } from '../faults/http-faults.ts'
import type { Moments } from '../model/moments.ts'
import type { Identity } from '../pki/authority.ts'
import { operationFailed } from './api-error.ts'
import { dispatch } from './dispatch.ts'
import type { Site } from './dispatch.ts'
import { errorReply, htmlReply, unauthorizedReply } from './reply.ts'
import type { Reply } from './reply.ts'

export interface ServerOptions {
  readonly clock: SimulatorClock
  readonly site: Site
  readonly faults: HttpFaults
  readonly moments: Moments
  readonly identity: Identity
  /** @default a free one */
  readonly port?: number | undefined
}

/** One request that reached the engine: for tests of polling and of lost answers. */
export interface SeenRequest {
  readonly method: string
  /** With its query. */
  readonly url: string
  readonly atMs: number
}

export interface EngineServer extends AsyncDisposable {
  readonly port: number
  readonly requests: readonly SeenRequest[]
}

/** A configuration with OVF is the largest body there is. */
const MAX_BODY_BYTES = 8 * 1024 * 1024

/** Only the last ones are remembered. */
const MAX_SEEN_REQUESTS = 100_000

export const startServer = async (options: ServerOptions): Promise<EngineServer> => {
  const { clock, identity } = options
  const requests: SeenRequest[] = []
  const server = createServer({ cert: identity.cert, key: identity.key, keepAlive: true })
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.closeIdleConnections = () => undefined // `close` would call it, and it stumbles over parsers without a socket.
  server.keepAliveTimeout = 0 // Real seconds mean nothing here: connections stay until somebody closes them.
  server.on('request', (request, response) => {
    requests.push({ method: request.method ?? '', url: request.url ?? '', atMs: clock.now() })
    if (requests.length > MAX_SEEN_REQUESTS) requests.shift()
    // What a service did not foresee is a fault of the simulator: its client shall see it.
    answer(options, request, response).catch((error: unknown) =>
      send(request, response, htmlReply(500, `the simulator failed: ${String(error)}`)),
    )
  })
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    response.writeContinue()
    server.emit('request', request, response)
  })
  // `Expect: 201-created` and `202-accepted` are the engine's own.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const answer = async (options: ServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  using hold = options.clock.hold()
  const { method = 'GET', url = '' } = request
  const faults = options.faults.strike(method, url.split('?')[0] ?? '')
  const body = await readBody(request)
  if (body === undefined || faults.some(({ kind }) => kind === 'drop')) return void request.socket.destroy()
  await options.moments.reach({ name: 'engine-request', request: `${method} ${url.split('?')[0] ?? ''}` })
  const wait = async (ms: number): Promise<void> => await hold.sleep(ms)
  const reply = replyInstead(faults, request) ?? (await dispatch(options.site, { request, body, wait }))
  if (faults.some(({ kind }) => kind === 'lose-answer')) return void request.socket.destroy()
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  for (const fault of faults) if (fault.kind === 'delay') await hold.sleep(fault.ms, gone.signal).catch(() => undefined)
  send(request, response, reply)
}

/** The whole body; undefined when it is larger than any request of the API, or never ends. */
const readBody = async (request: IncomingMessage): Promise<string | undefined> => {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) return undefined
  const pieces: Buffer[] = []
  let length = 0
  try {
    for await (const piece of request as AsyncIterable<Buffer>) {
      length += piece.length
      if (length > MAX_BODY_BYTES) request.socket.destroy()
      pieces.push(piece)
    }
  } catch {
    return undefined
  }
  return Buffer.concat(pieces).toString()
}

const replyInstead = (faults: readonly HttpFault[], request: IncomingMessage): Reply | undefined => {
  for (const fault of faults) {
    if (fault.kind === 'status')
      return fault.status === 401 ? unauthorizedReply() : htmlReply(fault.status, 'Unavailable')
    if (fault.kind === 'refuse') return errorReply(request, operationFailed(fault.status, fault.detail), false)
  }
  return undefined
}

const send = (request: IncomingMessage, response: ServerResponse, { status, headers, body }: Reply): void => {
  response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
  response.end(request.method === 'HEAD' ? undefined : body)
}
