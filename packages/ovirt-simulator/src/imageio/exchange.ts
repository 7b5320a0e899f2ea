/** One request and its answer, with headers as the real daemon writes them. @module */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Bytes } from '@granary/core'
import type { Hold, SimulatorClock } from '../clock/clock.ts'
import type { Connection } from './connection.ts'
import { HttpFailure, reasonOf } from './http-failure.ts'
import { pythonJson } from './python-text.ts'

/** Most bytes of a JSON body that is accepted. */
const MAX_JSON_BYTES = 1024 * 1024
/** What a socket of the real daemon takes without blocking, about. */
const NON_BLOCKING_BYTES = 4 * 1024 * 1024
/** Real milliseconds after which a client counts as one that does not read; how often that is looked at meanwhile. */
const STALL_MS = 1000
const STALL_LOOKS = 4
/** The release that is answered for. */
export const IMAGEIO_VERSION = '2.5.3'

/** The connection ends in the middle of an answer: nothing can be said any more. */
class Interrupted extends Error {}

export interface ExchangeOptions {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly connection: Connection
  readonly clock: SimulatorClock
}

export class Exchange {
  readonly request: IncomingMessage
  /** Kept: a request loses its own when the answer has ended. */
  readonly socket: Socket
  readonly connection: Connection
  readonly path: string
  readonly query: URLSearchParams
  /** Where a fault ends the connection, bytes of body. */
  cutAfter: { readonly bytes: number; readonly isReset: boolean } | undefined
  /** How much later than usual the image answers. */
  delayMs = 0
  /** The answer will be lost. */
  losesAnswer = false
  readonly #response: ServerResponse
  readonly #clock: SimulatorClock
  #hold: Hold
  readonly #headers: [string, string][] = []
  #bodyBytes = 0
  #isClosing = false

  constructor({ request, response, connection, clock }: ExchangeOptions) {
    this.request = request
    this.socket = request.socket
    this.#response = response
    this.connection = connection
    this.#clock = clock
    this.#hold = clock.hold()
    response.once('close', () => this.#hold[Symbol.dispose]())
    const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s)
    this.path = decode(path)
    this.query = new URLSearchParams(query)
  }

  /** Waits on the simulator's clock. */
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#hold.sleep(ms, signal)
  }

  /** Length of the request's body; undefined when it does not say. @throws HttpFailure 400 */
  get contentLength(): number | undefined {
    const value = this.request.headers['content-length']
    if (value === undefined) return undefined
    const length = Number(value)
    if (!Number.isSafeInteger(length) || length < 0) throw new HttpFailure(400, `Invalid Content-Length: '${value}'`)
    return length
  }

  /** Sent with the answer. */
  header(name: string, value: string): void {
    this.#headers.push([name, value])
  }

  /** The connection is closed after the answer. */
  close(): void {
    this.#isClosing = true
  }

  sendJson(value: unknown): void {
    this.header('content-type', 'application/json')
    this.#send(200, `${pythonJson(value)}\n`)
  }

  sendEmpty(status: 200 | 204): void {
    this.#send(status, '')
  }

  /** An error to be thrown; without a message as of a server that broke. */
  failure(status: number, message = 'Server failed to perform the request, check logs'): HttpFailure {
    return new HttpFailure(status, message)
  }

  /** Tells of a failure, or ends the connection when the answer has begun already. */
  sendFailure(error: unknown): void {
    if (this.#response.headersSent || error instanceof Interrupted) return void this.socket.destroy()
    const known = error instanceof HttpFailure
    const status = known ? error.status : 500
    const message = known ? error.message : 'Server failed to perform the request, check logs'
    const isBodyLeft = !this.request.complete && (this.contentLength ?? 0) > 0
    if ((known && error.isClosing) || isBodyLeft) this.close()
    this.header('content-type', 'text/plain; charset=UTF-8')
    if (known && error.contentRange !== undefined) this.header('content-range', error.contentRange)
    this.#send(status, `${message}\n`)
  }

  /** Begins an answer whose body follows by `write`. */
  begin(status: 200 | 206, lengthBytes: number): void {
    if (this.losesAnswer) return void this.socket.destroy()
    this.#response.writeHead(status, status === 200 ? 'OK' : 'Partial Content', this.#head(lengthBytes))
  }

  /** Sends a part of the body, and resolves when `bytes` may be used again. */
  async write(bytes: Bytes): Promise<void> {
    const limit = this.cutAfter?.bytes ?? (this.connection.isNonBlocking ? NON_BLOCKING_BYTES : Infinity)
    const part = bytes.subarray(0, Math.max(0, limit - this.#bodyBytes))
    this.#bodyBytes += part.length
    await this.#drain(part)
    if (part.length < bytes.length) this.#cut()
  }

  end(): void {
    this.#response.end()
  }

  /** The request's body as it comes. Ends early, with an error, when the client or a fault ends the connection. */
  async *body(): AsyncGenerator<Bytes, void, undefined> {
    this.connection.waitForClient()
    for await (const chunk of this.request as AsyncIterable<Buffer>) {
      this.connection.work()
      const part = chunk.subarray(0, Math.max(0, (this.cutAfter?.bytes ?? Infinity) - this.#bodyBytes))
      this.#bodyBytes += part.length
      if (part.length > 0) yield part
      if (part.length < chunk.length) this.#cut()
      this.connection.waitForClient()
    }
    this.connection.work()
  }

  /** The whole body as text. @throws HttpFailure 400 when it is too large */
  async text(): Promise<string> {
    const parts: Bytes[] = []
    let length = 0
    for await (const part of this.body()) {
      length += part.length
      if (length > MAX_JSON_BYTES) throw new HttpFailure(400, 'Request body is too large')
      parts.push(part)
    }
    return Buffer.concat(parts).toString('utf8')
  }

  async #drain(part: Bytes): Promise<void> {
    if (part.length === 0) return
    // A client that takes nothing must not stop the clock: its connection would never time out.
    // Looks are counted, not time: in a process that was held up, timers come before what its sockets have to say.
    let looks = 0
    const stalled = setInterval(() => {
      if (++looks === STALL_LOOKS) this.#hold[Symbol.dispose]()
    }, STALL_MS / STALL_LOOKS)
    this.connection.waitForClient()
    await new Promise<void>((resolve, reject) => {
      const { socket } = this
      const onClose = (): void => reject(new Interrupted('the client left'))
      if (socket.destroyed) return onClose()
      socket.once('close', onClose)
      this.#response.write(part, error => {
        socket.off('close', onClose)
        if (error === null || error === undefined) resolve()
        else reject(new Interrupted(error.message))
      })
    }).finally(() => {
      clearInterval(stalled)
      this.connection.work()
    })
  }

  #cut(): never {
    if (this.cutAfter?.isReset === true && 'resetAndDestroy' in this.socket && !('encrypted' in this.socket))
      this.socket.resetAndDestroy()
    else this.socket.destroy()
    throw new Interrupted('cut by a fault')
  }

  #send(status: number, body: string): void {
    if (this.losesAnswer) return void this.socket.destroy()
    const reason = status === 200 ? 'OK' : status === 204 ? 'No Content' : reasonOf(status)
    this.#response.writeHead(status, reason, this.#head(Buffer.byteLength(body)))
    this.#response.end(this.request.method === 'HEAD' ? undefined : body)
  }

  #head(lengthBytes: number): [string, string][] {
    const response = this.#response
    // Node's own headers are left out; those of the daemon stand in its order.
    response.sendDate = false
    response.removeHeader('connection')
    response.shouldKeepAlive = !this.#isClosing
    return [
      ['server', `imageio/${IMAGEIO_VERSION}`],
      ['date', new Date(this.#clock.now()).toUTCString()],
      ['content-length', String(lengthBytes)],
      ...(this.#isClosing ? ([['connection', 'close']] as [string, string][]) : []),
      ...this.#headers,
    ]
  }
}

const decode = (path: string): string => {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
