/** Where an image can be reached, and the connections to it. @module */
import type { Socket } from 'node:net'
import { Pool, buildConnector } from 'undici'
import { GranaryError } from '@granary/core'
import type { ImageSettings } from './image-settings.ts'

export type AddressKind = 'local' | 'host' | 'proxy'

export interface ImageAddress extends AsyncDisposable {
  readonly kind: AddressKind
  readonly pool: Pool
  /** `/images/TICKET`. */
  readonly path: string
  /** True once a connection has shown that the other end is this machine. */
  readonly isThisMachine: boolean
}

/** Idle connections are kept: the server closes them, at the ticket's inactivity timeout. */
const IDLE_MS = 3_600_000

export interface AddressOptions {
  readonly url: string
  readonly kind: AddressKind
  /** Used in place of the host of the URL; a leading NUL means the abstract namespace. */
  readonly socketPath?: string
  readonly settings: ImageSettings
}

/**
 * Connects when the first request is sent.
 *
 * @throws GranaryError `GRANARY_PROTOCOL` for what is no URL of an image
 */
export const openAddress = ({ url, kind, socketPath, settings }: AddressOptions): ImageAddress => {
  const { protocol, host, pathname } = parse(url)
  const connect = buildConnector({
    timeout: settings.connectTimeoutMs,
    ...(socketPath === undefined
      ? { ca: kind === 'proxy' ? settings.proxyCa : settings.ca, minVersion: 'TLSv1.2' as const }
      : { socketPath }),
  })
  let isThisMachine = false
  const pool = new Pool(socketPath === undefined ? `${protocol}//${host}` : 'http://localhost', {
    connections: settings.connections,
    pipelining: 1,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS,
    connect: (options, callback) =>
      connect(options, (...result) => {
        const socket: Socket | null | undefined = result[1] // Undefined beside an error, whatever the types say.
        if (socket !== null && socket !== undefined) isThisMachine = isOwn(socket)
        callback(...result)
      }),
  })
  return {
    kind,
    pool,
    path: pathname,
    get isThisMachine() {
      return isThisMachine
    },
    [Symbol.asyncDispose]: async () => await pool.destroy(),
  }
}

/** Both ends have one address: there is nothing between them. */
const isOwn = ({ localAddress, remoteAddress }: Socket): boolean =>
  localAddress !== undefined && localAddress === remoteAddress

const parse = (url: string): URL => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed !== undefined && /^https?:$/.test(parsed.protocol) && /^\/images\/[^/]+$/.test(parsed.pathname))
    return parsed
  throw new GranaryError('GRANARY_PROTOCOL', 'the engine names an image by what is no URL of imageio', {
    detail: { expected: 'https://HOST:54322/images/ID' },
  })
}
