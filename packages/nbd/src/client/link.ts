/** One open connection in the transmission phase. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortHub } from '../abort-hub.ts'
import { COMMAND, COMMAND_FLAG, ERRNO } from '../protocol/constants.ts'
import { encodeRequest } from '../protocol/requests.ts'
import type { Negotiated } from './negotiate.ts'
import { PendingRequest } from './pending-request.ts'
import type { RequestSpec, StatusById } from './pending-request.ts'
import { ReplyParser } from './reply-parser.ts'

/** How long an abort waits for the system to give back the caller's bytes, before the connection is given up. */
const ABORT_GRACE_MS = 500
/** Requests that move this much on average are worth reading straight into their targets, bytes. */
const BULK_BYTES = 64 * 1024
/** How long a closing connection waits for what is under way. */
const CLOSE_GRACE_MS = 2000
/** How often silence is looked for in a time-out. */
const LOOKS_PER_TIMEOUT = 4

export interface LinkOptions {
  /** Tells of aborts. */
  readonly hub: AbortHub
  /** The connection is given up after so long without a byte while requests wait. */
  readonly timeoutMs: number
  /** Called once, when the connection is lost or closed. */
  readonly onFailure: (link: Link) => void
}

export class Link {
  readonly negotiated: Negotiated
  readonly #options: LinkOptions
  readonly #parser: ReplyParser
  readonly #requests = new Map<number, PendingRequest>()
  readonly #watchdog: NodeJS.Timeout
  #lastCookie = 0
  #bytesInFlight = 0
  /** Looks in a row, while requests wait, at which no byte had come. */
  #silentLooks = 0
  #failure: GranaryError | undefined
  #onIdle: (() => void) | undefined

  constructor(negotiated: Negotiated, options: LinkOptions) {
    this.negotiated = negotiated
    this.#options = options
    this.#parser = new ReplyParser({
      style: negotiated.style,
      find: cookie => this.#requests.get(cookie),
      done: cookie => this.#forget(cookie),
    })
    this.#watchdog = setInterval(() => this.#checkProgress(), Math.max(1, options.timeoutMs / LOOKS_PER_TIMEOUT))
    this.#watchdog.unref()
    negotiated.transport.receiver = {
      window: () => this.#parser.window(),
      isBulk: () => this.#bytesInFlight >= this.#requests.size * BULK_BYTES,
      filled: count => this.#receive(() => this.#parser.filled(count)),
      push: bytes => this.#receive(() => this.#parser.push(bytes)),
      ended: error => this.fail(error),
    }
  }

  /** Why the connection is of no use any more; undefined while it is. */
  get failure(): GranaryError | undefined {
    return this.#failure
  }

  /** How busy the connection is: bytes asked for and not answered yet. */
  get bytesInFlight(): number {
    return this.#bytesInFlight
  }

  /**
   * Sends a request and resolves with its answer. An aborted request is settled as soon as neither the system
   * nor this connection will touch its bytes again; its late reply is read and dropped.
   *
   * @throws the link's `failure` when the connection is lost; the signal's reason; what the server answered
   */
  async request(spec: RequestSpec, signal?: AbortSignal): Promise<StatusById> {
    if (this.#failure !== undefined) throw this.#failure
    signal?.throwIfAborted()
    try {
      return await this.#exchange(spec, signal)
    } catch (error) {
      if (!isGranaryError(error) || error.detail['errno'] !== ERRNO.ESHUTDOWN) throw error
      // Nothing was done for this request, and nothing more will be done on this connection.
      this.#leave(new GranaryError('GRANARY_IO', 'NBD: the server is shutting down', { cause: error, retryable: true }))
      throw this.#failure ?? error
    }
  }

  /** Ends the connection politely: what somebody waits for may finish, then DISC is sent. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) return
    if (this.#isAwaited()) {
      const timer = setTimeout(() => this.#onIdle?.(), CLOSE_GRACE_MS)
      await new Promise<void>(resolve => {
        this.#onIdle = resolve
      })
      clearTimeout(timer)
    }
    if (this.#failure !== undefined) return
    this.#leave(new GranaryError('GRANARY_IO', 'NBD: the connection was closed'))
  }

  /** Gives the connection up. Every request that waits is rejected with `error`. */
  fail(error: GranaryError): void {
    if (this.#failure !== undefined) return
    this.#stop(error)
    this.negotiated.transport.destroy()
  }

  /** Says goodbye, and ends the connection: at once when the system still holds bytes of somebody's request. */
  #leave(reason: GranaryError): void {
    if (this.#failure !== undefined) return
    if (this.#requests.size > 0) return this.fail(reason)
    const { transport, style } = this.negotiated
    const disconnect = { flags: 0, command: COMMAND.disconnect, cookie: { high: 0, low: 0 }, offset: 0, length: 0 }
    transport.write(encodeRequest(disconnect, style === 'extended'))
    this.#stop(reason)
    transport.end()
    setTimeout(() => transport.destroy(), CLOSE_GRACE_MS).unref()
  }

  async #exchange(spec: RequestSpec, signal?: AbortSignal): Promise<StatusById> {
    return await new Promise<StatusById>((resolve, reject) => {
      const onAbort = (): void => this.#abandon(request, signal?.reason as Error, isSent)
      const request = new PendingRequest(spec, (error, statuses) => {
        ignoreAbort?.()
        if (error === undefined) resolve(statuses)
        else reject(error)
        if (this.#onIdle !== undefined && !this.#isAwaited()) this.#onIdle()
      })
      const ignoreAbort = signal && this.#options.hub.listen(signal, onAbort)
      const isSent = this.#send(request)
    })
  }

  #stop(error: GranaryError): void {
    this.#failure = error
    this.#parser.stop()
    clearInterval(this.#watchdog)
    const waiting = [...this.#requests.values()]
    this.#requests.clear()
    for (const request of waiting) request.settle(error)
    this.#onIdle?.()
    this.#options.onFailure(this)
  }

  /** Returns a function that tells whether the payload has left. */
  #send(request: PendingRequest): () => boolean {
    const { command, flags, offset, length, payload } = request.spec
    const { transport, style } = this.negotiated
    if (this.#requests.size === 0) this.#silentLooks = 0
    const number = ++this.#lastCookie
    this.#requests.set(number, request)
    this.#bytesInFlight += transferBytes(request.spec)
    const cookie = { high: Math.floor(number / 2 ** 32), low: number >>> 0 }
    const isExtended = style === 'extended'
    const payloadFlag = isExtended && payload !== undefined ? COMMAND_FLAG.payloadLength : 0
    transport.write(encodeRequest({ command, flags: flags | payloadFlag, cookie, offset, length }, isExtended))
    if (payload === undefined) return () => true
    let isSent = false
    transport.write(payload, () => {
      isSent = true
      this.#silentLooks = 0
    })
    return () => isSent
  }

  #forget(cookie: number): void {
    const request = this.#requests.get(cookie)
    if (request === undefined) return
    this.#requests.delete(cookie)
    this.#bytesInFlight -= transferBytes(request.spec)
  }

  /** False also when all that is under way was aborted: then only late replies are missing. */
  #isAwaited(): boolean {
    for (const request of this.#requests.values()) if (!request.isSettled) return true
    return false
  }

  /** Settles an aborted request once its bytes are free; polls, as the moment depends on the kernel. */
  #abandon(request: PendingRequest, reason: Error, isSent: () => boolean): void {
    const deadlineMs = performance.now() + ABORT_GRACE_MS
    const attempt = (): void => {
      if (request.isSettled) return
      if (isSent() && this.#parser.lentTo !== request) request.settle(reason)
      else if (performance.now() < deadlineMs) setTimeout(attempt, 5)
      else {
        this.fail(
          new GranaryError('GRANARY_IO', 'NBD: the connection was given up to end an aborted request', {
            retryable: true,
          }),
        )
      }
    }
    attempt()
  }

  #receive(parse: () => void): void {
    if (this.#failure !== undefined) return
    this.#silentLooks = 0
    try {
      parse()
    } catch (error) {
      this.fail(error as GranaryError)
    }
  }

  /**
   * Counts looks, not time: in a process that was stopped, or busy, for longer than the time-out, timers run before what has
   * long been there is read. However late, an interval fires once.
   */
  #checkProgress(): void {
    const { timeoutMs } = this.#options
    // The first look comes at any moment after the last byte.
    if (this.#requests.size === 0 || ++this.#silentLooks <= LOOKS_PER_TIMEOUT) return
    this.fail(
      new GranaryError('GRANARY_TIMEOUT', `NBD: no byte from ${this.negotiated.transport.name} for ${timeoutMs} ms`, {
        retryable: true,
        detail: { peer: this.negotiated.transport.name, timeoutMs, requests: this.#requests.size },
      }),
    )
  }
}

/** Bytes that a request moves over the wire. */
export const transferBytes = ({ target, payload }: RequestSpec): number => (target ?? payload)?.length ?? 0
