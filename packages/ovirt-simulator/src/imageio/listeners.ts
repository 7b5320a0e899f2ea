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

/** `refused` answers with a reset, `silent` never answers. */
export type Reachability = 'reachable' | 'refused' | 'silent'

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
  readonly #unixServers: NetServer[] = []
  readonly #tlsServers = new Set<TlsServer>()
  readonly #remote: Port
  #inner: Port | undefined
  #certificate: ListenerCertificate

  constructor({ clock, certificate, address, answer }: ListenersOptions) {
    this.#clock = clock
    this.#certificate = certificate
    this.#remote = new Port(address)
    this.#answer = answer
  }

  /** Where clients are served: the address asked for, or the nearest to be had. */
  get address(): Address {
    return this.#remote.address
  }

  /** Where the proxy is served; undefined where clients and proxy share an address. */
  get inner(): Address | undefined {
    return this.#inner?.address
  }

  /** For connections to come. */
  setCertificate(certificate: ListenerCertificate): void {
    this.#certificate = certificate
    for (const server of this.#tlsServers) server.setSecureContext(certificate)
  }

  /** @see Imageio.setReachable */
  async setReachable(how: Reachability, by: 'clients' | 'everybody'): Promise<void> {
    const ports = by === 'clients' ? [this.#remote] : [this.#remote, this.#inner]
    for (const port of ports) {
      await port?.close()
      if (how === 'reachable') await port?.open(this.#tlsServer())
      if (how === 'silent') await port?.open(this.#kept(createNetServer({ pauseOnConnect: true })))
    }
  }

  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async listenRemote(): Promise<void> {
    await this.#remote.open(this.#tlsServer())
  }

  async listenInside(host: string): Promise<void> {
    this.#inner = new Port({ host, port: 0 })
    await this.#inner.open(this.#tlsServer())
  }

  async listenUnix(path: string, service: Service): Promise<void> {
    const server = this.#kept(createServer(HTTP_OPTIONS))
    this.#serve(server, service)
    server.listen(path)
    await once(server, 'listening')
    this.#unixServers.push(server)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remote.close()
    await this.#inner?.close()
    this.dropConnections()
    for (const server of this.#unixServers.splice(0)) await closed(server)
  }

  #tlsServer(): Server & TlsServer {
    const server = this.#kept(createTlsServer({ ...this.#certificate, minVersion: 'TLSv1.2', ...HTTP_OPTIONS }))
    this.#serve(server, 'images')
    server.on('tlsClientError', () => undefined)
    this.#tlsServers.add(server)
    server.once('close', () => this.#tlsServers.delete(server))
    return server
  }

  /** A server whose connections are remembered. */
  #kept<S extends NetServer>(server: S): S {
    return server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.once('close', () => this.#sockets.delete(socket))
    })
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

/** One place to listen at, that can be closed and opened again. */
class Port {
  #address: Address
  #server: NetServer | undefined
  readonly #sockets = new Set<Socket>()

  constructor(address: Address) {
    this.#address = address
  }

  get address(): Address {
    return this.#address
  }

  async open(server: NetServer): Promise<void> {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#address = await listenNear(server, this.#address)
    this.#server = server
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    if (server !== undefined) await closed(server)
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
