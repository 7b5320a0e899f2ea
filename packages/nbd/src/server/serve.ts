/** The server's entry point. @module */
import type { Duplex } from 'node:stream'
import { GranaryError } from '@granary/core'
import type { NbdAddress } from '../address.ts'
import { ByteBudget } from '../byte-budget.ts'
import { formatNbdUri } from '../uri.ts'
import { BufferPool } from './buffer-pool.ts'
import { Connection } from './connection.ts'
import { prepareExports } from './exports.ts'
import type { NbdExport } from './exports.ts'
import { settleLimits } from './limits.ts'
import type { NbdServerLimits, ServerLimits } from './limits.ts'
import { parseListenAddress } from './listen-address.ts'
import type { ListenAddress } from './listen-address.ts'
import { openListener } from './listener.ts'
import type { Listener } from './listener.ts'
import type { NbdServerTls } from './tls.ts'

/** Payload buffers kept for later use, bytes. */
const POOLED_BYTES = 64 * 1024 * 1024

export interface NbdServerOptions {
  readonly exports: readonly NbdExport[]
  /** An address, or what `parseListenAddress` reads. */
  readonly listen: ListenAddress | string
  /** Without it, clients that ask for TLS are refused. */
  readonly tls?: NbdServerTls
  readonly limits?: NbdServerLimits
  /** Told why a client was cut off. */
  readonly onClientError?: (error: GranaryError) => void
}

export interface NbdServer extends AsyncDisposable {
  /** Where clients find the server, with the port that was taken; undefined for fd and stdio. */
  readonly address: NbdAddress | undefined
  /** Clients now. */
  readonly connections: number
  /** Resolves when the server is closed; in stdio mode also when its one client left. */
  readonly closed: Promise<void>
  /** URI of an export. @throws GranaryError `GRANARY_UNSUPPORTED` when the server has no address */
  uriOf(exportName?: string): string
  /**
   * Takes no more clients, lets what is at work finish (up to `closeGraceMs`), and ends every connection.
   * The disks stay open: they are the caller's.
   */
  close(): Promise<void>
}

/**
 * Serves disks over NBD.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when an option is out of its range, `GRANARY_LOCKED` when the address is in use
 * @example await using server = await serveNbd({ exports: [{ name: '', disk }], listen: 'nbd+unix:///?socket=/run/disk.sock' })
 */
export const serveNbd = async (options: NbdServerOptions): Promise<NbdServer> => {
  const parsed = typeof options.listen === 'string' ? parseListenAddress(options.listen) : undefined
  if (parsed?.isTls === true && options.tls === undefined)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'NBD server: nbds needs certificates or keys')
  const server = new Server(options, settleLimits(options.limits ?? {}))
  await server.open(parsed?.address ?? (options.listen as ListenAddress))
  return server
}

class Server implements NbdServer {
  readonly closed: Promise<void>
  readonly #options: NbdServerOptions
  readonly #limits: ServerLimits
  readonly #connections = new Map<Connection, Promise<void>>()
  readonly #take: (stream: Duplex) => void
  #listener: Listener | undefined
  #isClosing = false
  #closing: Promise<void> | undefined
  #onClosed: () => void = () => undefined

  constructor(options: NbdServerOptions, limits: ServerLimits) {
    this.#options = options
    this.#limits = limits
    this.closed = new Promise(resolve => {
      this.#onClosed = resolve
    })
    const shared = { limits, buffers: new BufferPool(POOLED_BYTES), budget: new ByteBudget(limits.maxBytes) }
    const context = {
      exports: prepareExports(options.exports),
      tls: options.tls,
      limits,
      isClosing: () => this.#isClosing,
    }
    this.#take = stream => {
      if (this.#isClosing || this.#connections.size >= limits.maxConnections) {
        stream.on('error', () => undefined).destroy()
        return
      }
      const connection = new Connection(stream, context, shared)
      this.#connections.set(connection, this.#run(connection))
    }
  }

  get address(): NbdAddress | undefined {
    return this.#listener?.address
  }

  get connections(): number {
    return this.#connections.size
  }

  async open(listen: ListenAddress): Promise<void> {
    this.#listener = await openListener(listen, this.#take)
    if (listen.kind !== 'stdio') return
    void Promise.all(this.#connections.values()).then(async () => this.close())
  }

  uriOf(exportName = ''): string {
    if (this.address === undefined)
      throw new GranaryError('GRANARY_UNSUPPORTED', 'NBD server: what listens at a descriptor has no address')
    return formatNbdUri({ address: this.address, exportName, isTls: this.#options.tls !== undefined })
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    this.#isClosing = true
    const listenerClosed = this.#listener?.close()
    for (const connection of this.#connections.keys()) connection.close()
    const timer = setTimeout(() => {
      for (const connection of this.#connections.keys()) connection.destroy()
    }, this.#limits.closeGraceMs)
    await Promise.all(this.#connections.values())
    clearTimeout(timer)
    await listenerClosed
    this.#onClosed()
  }

  async #run(connection: Connection): Promise<void> {
    const error = await connection.run()
    this.#connections.delete(connection)
    if (error !== undefined && !this.#isClosing) this.#options.onClientError?.(error)
  }
}
