/** The imageio daemon: images for those who have a ticket, tickets for those who have the control socket. @module */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { Server as TlsServer } from 'node:tls'
import { once } from 'node:events'
import { createServer as createNetServer } from 'node:net'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import { GranaryError } from '@granary/core'
import type { SimulatorClock } from '../clock/clock.ts'
import type { ImageBackend, OpenBackend } from './backend.ts'
import { Connection } from './connection.ts'
import { removeTicket } from './control-handler.ts'
import type { ControlContext } from './control-handler.ts'
import { Exchange } from './exchange.ts'
import { FaultPlan } from './faults.ts'
import type { ArmedFault, ImageioFault, ImageioRequest } from './faults.ts'
import { openBackendByUrl } from './open-backend.ts'
import { controlRoutes, findRoute, imageRoutes } from './router.ts'
import type { Route } from './router.ts'
import type { Ticket } from './ticket.ts'
import { TicketStore } from './ticket-store.ts'

/** Certificate and key of a listener, PEM. */
export interface ListenerCertificate {
  readonly cert: string
  readonly key: string
}

export interface ImageioOptions {
  readonly clock: SimulatorClock
  readonly certificate: ListenerCertificate
  /** @default 'localhost' */
  readonly host?: string
  /** Another one is taken where it is not free. @default 0: any that is free */
  readonly port?: number
  /** Address of a second TLS listener, for the proxy: `setReachable` leaves it alone. @default none */
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
  readonly #sockets = new Set<Socket>()
  readonly #remoteSockets = new Set<Socket>()
  readonly #control: ControlContext
  readonly #imageRoutes: readonly Route[]
  readonly #servers: Server[] = []
  readonly #tlsServers = new Set<TlsServer>()
  #certificate: ListenerCertificate
  #remote: NetServer | undefined
  #address: Address
  #inner: Address | undefined

  constructor(options: ImageioOptions) {
    this.#options = options
    this.#certificate = options.certificate
    this.#address = { host: options.host ?? 'localhost', port: options.port ?? 0 }
    this.#tickets = new TicketStore(() => Math.floor(options.clock.now() / 1000))
    this.#control = { tickets: this.#tickets, removeTimeoutMs: options.removeTimeoutMs ?? 60_000 }
    this.#imageRoutes = imageRoutes({
      authorize: (exchange, id, op) => this.#authorize(exchange, id, op),
      unixSocket: options.localSocket,
    })
  }

  /** Port of the TLS listener. */
  get port(): number {
    return this.#address.port
  }

  /** Where a ticket's image is. */
  urlOf(ticketId: string): string {
    return imageUrl(this.#address, ticketId)
  }

  /** The same for the proxy. */
  innerUrlOf(ticketId: string): string {
    return imageUrl(this.#inner ?? this.#address, ticketId)
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
    for (const socket of this.#sockets) socket.destroy()
    const tickets = this.#tickets.all
    for (const ticket of tickets) this.#tickets.remove(ticket.fields.uuid)
    for (const ticket of tickets) await ticket.close().catch(() => undefined)
  }

  armFault(fault: ImageioFault): ArmedFault {
    return this.#faults.arm(fault)
  }

  /** Another certificate for connections to come: an expired one, or one of the wrong authority. */
  setCertificate(certificate: ListenerCertificate): void {
    this.#certificate = certificate
    for (const server of this.#tlsServers) server.setSecureContext(certificate)
  }

  /**
   * Takes the TLS listener off the network: `refused` answers with a reset, `silent` never answers. Sockets of the host
   * itself go on. `reachable` brings it back, at the same port.
   */
  async setReachable(how: 'reachable' | 'refused' | 'silent'): Promise<void> {
    await this.#closeRemote()
    if (how === 'reachable') await this.#listenRemote()
    if (how === 'silent') await this.#listenAt(createSilentServer())
  }

  /** @throws GranaryError when an address is taken */
  async listen(): Promise<void> {
    const { localSocket, controlSocket, innerHost } = this.#options
    await this.#listenRemote()
    if (innerHost !== undefined) await this.#listenInside(innerHost)
    if (localSocket !== undefined) await this.#listenUnix(localSocket, this.#imageRoutes)
    if (controlSocket !== undefined) await this.#listenUnix(controlSocket, controlRoutes(this.#control))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeRemote()
    for (const socket of this.#sockets) socket.destroy()
    for (const server of this.#servers.splice(0)) await closed(server)
    await this.restart()
  }

  async #listenRemote(): Promise<void> {
    await this.#listenAt(this.#tlsServer())
  }

  #tlsServer(): Server & TlsServer {
    const server = createTlsServer({ ...this.#certificate, minVersion: 'TLSv1.2', ...HTTP_OPTIONS })
    this.#serve(server, this.#imageRoutes)
    server.on('tlsClientError', () => undefined)
    this.#tlsServers.add(server)
    server.once('close', () => this.#tlsServers.delete(server))
    return server
  }

  async #listenAt(server: NetServer): Promise<void> {
    server.on('connection', (socket: Socket) => {
      this.#keep(socket)
      this.#remoteSockets.add(socket)
      socket.once('close', () => this.#remoteSockets.delete(socket))
    })
    this.#address = await listenNear(server, this.#address)
    this.#remote = server
  }

  async #listenInside(host: string): Promise<void> {
    const server = this.#tlsServer()
    server.on('connection', (socket: Socket) => this.#keep(socket))
    this.#inner = await listenNear(server, { host, port: 0 })
    this.#servers.push(server)
  }

  async #listenUnix(path: string, routes: readonly Route[]): Promise<void> {
    const server = createServer(HTTP_OPTIONS)
    this.#serve(server, routes)
    server.on('connection', (socket: Socket) => this.#keep(socket))
    server.listen(path)
    await once(server, 'listening')
    this.#servers.push(server)
  }

  async #closeRemote(): Promise<void> {
    const remote = this.#remote
    this.#remote = undefined
    for (const socket of this.#remoteSockets) socket.destroy()
    if (remote !== undefined) await closed(remote)
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #serve(server: Server, routes: readonly Route[]): void {
    server.timeout = 0
    server.keepAliveTimeout = 0
    server.requestTimeout = 0
    server.headersTimeout = 0
    // `close` would call it, and it stumbles over parsers that have just lost their socket: all sockets are closed here.
    server.closeIdleConnections = () => undefined
    const connections = new WeakMap<Socket, Connection>()
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      const known = connections.get(request.socket)
      const connection = known ?? new Connection(request.socket, this.#options.clock)
      if (known === undefined) connections.set(request.socket, connection)
      void this.#answer(routes, { request, response, connection })
    }
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      connections.set(socket, new Connection(socket, this.#options.clock))
    })
    server.on('request', answer)
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      response.writeContinue()
      answer(request, response)
    })
  }

  async #answer(
    routes: readonly Route[],
    parts: { request: IncomingMessage; response: ServerResponse; connection: Connection },
  ): Promise<void> {
    const exchange = new Exchange({ ...parts, clock: this.#options.clock })
    try {
      parts.connection.work()
      const { handler, id, resource } = findRoute(routes, exchange)
      if (resource !== undefined) this.#strike(exchange, id, resource)
      await handler(exchange, id)
    } catch (error) {
      exchange.sendFailure(error)
    } finally {
      parts.connection.waitForClient()
      // A socket that does not block finds no next request at once, and is closed (capture r91).
      if (parts.connection.isNonBlocking) setImmediate(() => exchange.socket.destroySoon())
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

interface Address {
  readonly host: string
  readonly port: number
}

const imageUrl = ({ host, port }: Address, ticketId: string): string => `https://${host}:${port}/images/${ticketId}`

/** Listens at an address; where it is taken, or not to be had on this machine, at a free port of 127.0.0.1. */
const listenNear = async (server: NetServer, { host, port }: Address): Promise<Address> => {
  try {
    server.listen(port, host)
    await once(server, 'listening')
    return { host, port: (server.address() as AddressInfo).port }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (port === 0 || (code !== 'EADDRINUSE' && code !== 'EADDRNOTAVAIL')) throw error
    return await listenNear(server, { host: '127.0.0.1', port: 0 })
  }
}

const HTTP_OPTIONS = { keepAlive: true, noDelay: true, highWaterMark: 1024 * 1024 } as const

/** Takes connections and says nothing. */
const createSilentServer = (): NetServer => createNetServer({ pauseOnConnect: true })

/** All connections were destroyed before. */
const closed = async (server: NetServer): Promise<void> => {
  const closing = once(server, 'close')
  server.close()
  await closing
}
