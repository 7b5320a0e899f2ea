/** The imageio daemon: images for those who have a ticket, tickets for those who have the control socket. @module */
import { GranaryError } from '@granary/core'
import type { SimulatorClock } from '../clock/clock.ts'
import type { ImageBackend, OpenBackend } from './backend.ts'
import { removeTicket } from './control-handler.ts'
import type { ControlContext } from './control-handler.ts'
import { Exchange } from './exchange.ts'
import { FaultPlan } from './faults.ts'
import type { ArmedFault, ImageioFault, ImageioRequest } from './faults.ts'
import { Listeners, imageUrl } from './listeners.ts'
import type { Arrival, ListenerCertificate, Reachability } from './listeners.ts'
import { openBackendByUrl } from './open-backend.ts'
import { controlRoutes, findRoute, imageRoutes } from './router.ts'
import type { Route } from './router.ts'
import type { Ticket } from './ticket.ts'
import { TicketStore } from './ticket-store.ts'

export interface ImageioOptions {
  readonly clock: SimulatorClock
  readonly certificate: ListenerCertificate
  /** @default 'localhost' */
  readonly host?: string
  /** Another one is taken where it is not free. @default 0: any that is free */
  readonly port?: number
  /** Address of a second TLS listener, for the proxy. @default none */
  readonly innerHost?: string
  /** Path of the local socket; a leading NUL makes it abstract. @default none */
  readonly localSocket?: string
  /** Path of the control socket. @default none: tickets are added by `addTicket` */
  readonly controlSocket?: string
  /** @default what the real daemon knows: file, nbd, https */
  readonly openBackend?: OpenBackend
  /** How long the removal of a ticket waits for its requests, milliseconds. @default 60000 */
  readonly removeTimeoutMs?: number
}

/** Starts a daemon. It serves until it is disposed of. */
export const startImageio = async (options: ImageioOptions): Promise<Imageio> => {
  const daemon = new Imageio(options)
  try {
    await daemon.listen()
    return daemon
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
}

export class Imageio implements AsyncDisposable {
  readonly #options: ImageioOptions
  readonly #tickets: TicketStore
  readonly #faults = new FaultPlan()
  readonly #listeners: Listeners
  readonly #control: ControlContext

  constructor(options: ImageioOptions) {
    this.#options = options
    this.#tickets = new TicketStore(() => Math.floor(options.clock.now() / 1000))
    this.#control = { tickets: this.#tickets, removeTimeoutMs: options.removeTimeoutMs ?? 60_000 }
    const images = imageRoutes({
      authorize: (exchange, id, op) => this.#authorize(exchange, id, op),
      unixSocket: options.localSocket,
    })
    const control = controlRoutes(this.#control)
    this.#listeners = new Listeners({
      clock: options.clock,
      certificate: options.certificate,
      address: { host: options.host ?? 'localhost', port: options.port ?? 0 },
      answer: (service, arrival) => void this.#answer(service === 'images' ? images : control, arrival),
    })
  }

  /** Port of the TLS listener. */
  get port(): number {
    return this.#listeners.address.port
  }

  /** Where a ticket's image is. */
  urlOf(ticketId: string): string {
    return imageUrl(this.#listeners.address, ticketId)
  }

  /** The same for the proxy. */
  innerUrlOf(ticketId: string): string {
    return imageUrl(this.#listeners.inner ?? this.#listeners.address, ticketId)
  }

  /** As `PUT /tickets/ID` does. @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
  addTicket(ticket: Readonly<Record<string, unknown>>): void {
    try {
      this.#tickets.add(ticket)
    } catch (error) {
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', (error as Error).message, { cause: error })
    }
  }

  /** As `GET /tickets/ID` shows it; undefined when there is no such ticket. */
  ticketInfo(id: string): Readonly<Record<string, unknown>> | undefined {
    return this.#tickets.get(id)?.info()
  }

  /** As `PATCH /tickets/ID` with a timeout in seconds; false when there is no such ticket. */
  extendTicket(id: string, timeoutSeconds: number): boolean {
    const ticket = this.#tickets.get(id)
    ticket?.extend(timeoutSeconds)
    return ticket !== undefined
  }

  /** As `DELETE /tickets/ID`. @returns false when requests were still running after the timeout */
  async removeTicket(id: string): Promise<boolean> {
    return await removeTicket(this.#control, id, (ms, signal) => this.#options.clock.sleep(ms, signal))
  }

  /** The daemon is started anew: all tickets are gone, and all connections. */
  async restart(): Promise<void> {
    this.#listeners.dropConnections()
    const tickets = this.#tickets.all
    for (const ticket of tickets) this.#tickets.remove(ticket.fields.uuid)
    for (const ticket of tickets) await ticket.close().catch(() => undefined)
  }

  armFault(fault: ImageioFault): ArmedFault {
    return this.#faults.arm(fault)
  }

  /** Another certificate for connections to come: an expired one, or one of the wrong authority. */
  setCertificate(certificate: ListenerCertificate): void {
    this.#listeners.setCertificate(certificate)
  }

  /**
   * Takes the TLS listeners off the network, or brings them back, at the same ports. Sockets of the host itself go on.
   *
   * @param by `clients`: the proxy still gets through. @default 'everybody'
   */
  async setReachable(how: Reachability, by: 'clients' | 'everybody' = 'everybody'): Promise<void> {
    await this.#listeners.setReachable(how, by)
  }

  /** @throws GranaryError when an address is taken */
  async listen(): Promise<void> {
    const { localSocket, controlSocket, innerHost } = this.#options
    await this.#listeners.listenRemote()
    if (innerHost !== undefined) await this.#listeners.listenInside(innerHost)
    if (localSocket !== undefined) await this.#listeners.listenUnix(localSocket, 'images')
    if (controlSocket !== undefined) await this.#listeners.listenUnix(controlSocket, 'control')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listeners[Symbol.asyncDispose]()
    await this.restart()
  }

  async #answer(routes: readonly Route[], arrival: Arrival): Promise<void> {
    const exchange = new Exchange({ ...arrival, clock: this.#options.clock })
    try {
      arrival.connection.work()
      const { handler, id, resource } = findRoute(routes, exchange)
      if (resource !== undefined) this.#strike(exchange, id, resource)
      await handler(exchange, id)
    } catch (error) {
      exchange.sendFailure(error)
    } finally {
      arrival.connection.waitForClient()
      // A socket that does not block finds no next request at once, and is closed (capture r91).
      if (arrival.connection.isNonBlocking) setImmediate(() => exchange.socket.destroySoon())
    }
  }

  #strike(exchange: Exchange, ticketId: string, resource: ImageioRequest['resource']): void {
    const { method = '', headers } = exchange.request
    const offset = Number(/\d+/.exec(headers.range ?? headers['content-range'] ?? '')?.[0] ?? 0)
    for (const effect of this.#faults.strike({ method, ticketId, resource, offset })) {
      if (effect.kind === 'status') throw exchange.failure(effect.status, effect.message)
      if (effect.kind === 'delay') exchange.delayMs += effect.ms
      if (effect.kind === 'expire') this.#tickets.get(ticketId)?.extend(0)
      if (effect.kind === 'lose-answer') exchange.losesAnswer = true
      if (effect.kind === 'drop' || effect.kind === 'truncate')
        exchange.cutAfter = { bytes: effect.afterBytes, isReset: effect.kind === 'drop' }
    }
  }

  async #authorize(
    exchange: Exchange,
    ticketId: string,
    op: 'read' | 'write',
  ): Promise<{ ticket: Ticket; backend: ImageBackend }> {
    const ticket = this.#tickets.authorize(ticketId, op)
    const open = this.#options.openBackend ?? openBackendByUrl()
    const { url, isDirty } = ticket.fields
    const backend = await ticket.backend(() => open(url, { isWritable: ticket.may('write'), isDirty }))
    exchange.connection.use(ticket)
    if (exchange.delayMs > 0) await exchange.sleep(exchange.delayMs)
    return { ticket, backend }
  }
}
