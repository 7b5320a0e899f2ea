/** Sockets that clients come in by. @module */
import { chmod, lstat, unlink } from 'node:fs/promises'
import { Socket, connect, createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { Duplex } from 'node:stream'
import { fstatSync } from 'node:fs'
import { GranaryError } from '@granary/core'
import { describeAddress } from '../address.ts'
import type { NbdAddress } from '../address.ts'
import type { ListenAddress } from './listen-address.ts'

const BACKLOG = 511

export interface Listener {
  /** Where clients find it, with the port that was taken; undefined for fd and stdio. */
  readonly address: NbdAddress | undefined
  /** Takes no more clients, and removes the socket file that was made. */
  readonly close: () => Promise<void>
}

/**
 * Starts to take clients.
 *
 * @throws GranaryError `GRANARY_LOCKED` when somebody listens there already, `GRANARY_EXISTS` when a file is in the way
 */
export const openListener = async (listen: ListenAddress, take: (stream: Duplex) => void): Promise<Listener> => {
  if (listen.kind === 'stdio') {
    take(standardStream())
    return { address: undefined, close: async () => {} }
  }
  // Half-open: a client that has asked for its last bytes may say goodbye before they are sent.
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, take)
  if (listen.kind === 'unix') await removeStaleSocket(listen.path)
  await listening(server, listen)
  if (listen.kind === 'unix' && !listen.path.startsWith('\0')) await chmod(listen.path, 0o600)
  return {
    address: boundAddress(server, listen),
    // Node removes the socket file as it closes the server that made it.
    close: async () => new Promise(resolve => server.close(() => resolve())),
  }
}

const listening = async (server: Server, listen: Exclude<ListenAddress, { kind: 'stdio' }>): Promise<void> => {
  const where =
    listen.kind === 'tcp'
      ? { host: listen.host, port: listen.port }
      : listen.kind === 'unix'
        ? { path: listen.path }
        : { fd: listen.fd }
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause => reject(listenError(cause, listen)))
    server.listen({ ...where, backlog: BACKLOG }, resolve)
  })
  server.removeAllListeners('error')
  // Out of file descriptors: the client is refused, the server lives on.
  server.on('error', () => undefined)
}

const boundAddress = (server: Server, listen: Exclude<ListenAddress, { kind: 'stdio' }>): NbdAddress | undefined => {
  if (listen.kind !== 'tcp') return listen.kind === 'unix' ? listen : undefined
  return { ...listen, port: (server.address() as AddressInfo).port }
}

/** A socket file that nobody listens at is left over from a server that was killed. */
const removeStaleSocket = async (path: string): Promise<void> => {
  if (path.startsWith('\0')) return
  const stats = await lstat(path).catch(() => undefined)
  if (stats === undefined) return
  if (!stats.isSocket())
    throw new GranaryError('GRANARY_EXISTS', `${path} is in the way: it is no socket`, { detail: { path } })
  if (await isAnswered(path))
    throw new GranaryError('GRANARY_LOCKED', `another server listens at ${path}`, { detail: { path } })
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw listenError(error, { kind: 'unix', path })
  })
}

const isAnswered = async (path: string): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect({ path })
    const settle = (isAlive: boolean): void => {
      socket.destroy()
      resolve(isAlive)
    }
    socket.once('connect', () => settle(true))
    // Only "refused" proves that nobody is there; a full queue does not.
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code !== 'ECONNREFUSED'))
  })

/** What a parent that starts us as its server talks to: one socket at both descriptors, or a pair of pipes. */
const standardStream = (): Duplex => {
  const [input, output] = [fstatSync(0), fstatSync(1)]
  return input.isSocket() && input.dev === output.dev && input.ino === output.ino
    ? new Socket({ fd: 0, readable: true, writable: true, allowHalfOpen: true })
    : Duplex.from({ readable: process.stdin, writable: process.stdout })
}

const listenError = (cause: Error, listen: Exclude<ListenAddress, { kind: 'stdio' }>): GranaryError => {
  const where = listen.kind === 'fd' ? `fd ${listen.fd}` : describeAddress(listen)
  const code = (cause as NodeJS.ErrnoException).code
  const granaryCode =
    code === 'EADDRINUSE'
      ? 'GRANARY_LOCKED'
      : code === 'EACCES' || code === 'EPERM'
        ? 'GRANARY_PERMISSION'
        : 'GRANARY_IO'
  return new GranaryError(granaryCode, `NBD server: cannot listen at ${where}`, { cause, detail: { address: where } })
}
