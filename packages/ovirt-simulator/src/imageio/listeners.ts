/** Where a daemon listens: over TLS for clients and for the proxy, at local sockets of the host. @module */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createNetServer } from 'node:net'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { SimulatorClock } from '../clock/clock.ts'
import { Connection } from './connection.ts'

/** Certificate and key of a listener, PEM. */
export interface ListenerCertificate {
  readonly cert: string
  readonly key: string
}

export interface Address {
  readonly host: string
  readonly port: number
}

export const imageUrl = ({ host, port }: Address, ticketId: string): string =>
  `https://${host}:${port}/images/${ticketId}`

/** A request, and where it came in. */
export interface Arrival {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly connection: Connection
}

type Service = 'images' | 'control'

export interface ListenersOptions {
  readonly clock: SimulatorClock
  readonly certificate: ListenerCertificate
  /** Of the TLS listener for clients. */
  readonly address: Address
  readonly answer: (service: Service, arrival: Arrival) => void
}

const HTTP_OPTIONS = { keepAlive: true, noDelay: true, highWaterMark: 1024 * 1024 } as const

export class Listeners implements AsyncDisposable {
  readonly #clock: SimulatorClock
  readonly #answer: ListenersOptions['answer']
  readonly #sockets = new Set<Socket>()
  readonly #remoteSockets = new Set<Socket>()
  readonly #servers: NetServer[] = []
  readonly #tlsServers = new Set<TlsServer>()
  #certificate: ListenerCertificate
  #remote: NetServer | undefined
  #address: Address
  #inner: Address | undefined

  constructor({ clock, certificate, address, answer }: ListenersOptions) {
    this.#clock = clock
    this.#certificate = certificate
    this.#address = address
    this.#answer = answer
  }

  /** Where clients are served: the address asked for, or the nearest to be had. */
  get address(): Address {
    return this.#address
  }

  /** Where the proxy is served; undefined where clients and proxy share an address. */
  get inner(): Address | undefined {
    return this.#inner
  }

  /** For connections to come. */
  setCertificate(certificate: ListenerCertificate): void {
    this.#certificate = certificate
    for (const server of this.#tlsServers) server.setSecureContext(certificate)
  }

  /** @see Imageio.setReachable */
  async setReachable(how: 'reachable' | 'refused' | 'silent'): Promise<void> {
    await this.#closeRemote()
    if (how === 'reachable') await this.listenRemote()
    if (how === 'silent') await this.#listenAt(createNetServer({ pauseOnConnect: true }))
  }

  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async listenRemote(): Promise<void> {
    await this.#listenAt(this.#tlsServer())
  }

  async listenInside(host: string): Promise<void> {
    const server = this.#tlsServer()
    server.on('connection', (socket: Socket) => this.#keep(socket))
    this.#inner = await listenNear(server, { host, port: 0 })
    this.#servers.push(server)
  }

  async listenUnix(path: string, service: Service): Promise<void> {
    const server = createServer(HTTP_OPTIONS)
    this.#serve(server, service)
    server.on('connection', (socket: Socket) => this.#keep(socket))
    server.listen(path)
    await once(server, 'listening')
    this.#servers.push(server)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeRemote()
    this.dropConnections()
    for (const server of this.#servers.splice(0)) await closed(server)
  }

  #tlsServer(): Server & TlsServer {
    const server = createTlsServer({ ...this.#certificate, minVersion: 'TLSv1.2', ...HTTP_OPTIONS })
    this.#serve(server, 'images')
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

  /** Requests of one connection share what is known of it. */
  #serve(server: Server, service: Service): void {
    server.timeout = 0
    server.keepAliveTimeout = 0
    server.requestTimeout = 0
    server.headersTimeout = 0
    // `close` would call it, and it stumbles over parsers that have just lost their socket: all sockets are closed here.
    server.closeIdleConnections = () => undefined
    const connections = new WeakMap<Socket, Connection>()
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      const known = connections.get(request.socket)
      const connection = known ?? new Connection(request.socket, this.#clock)
      if (known === undefined) connections.set(request.socket, connection)
      this.#answer(service, { request, response, connection })
    }
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      connections.set(socket, new Connection(socket, this.#clock))
    })
    server.on('request', answer)
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      response.writeContinue()
      answer(request, response)
    })
  }
}

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

/** All connections were destroyed before. */
const closed = async (server: NetServer): Promise<void> => {
  const closing = once(server, 'close')
  server.close()
  await closing
}
