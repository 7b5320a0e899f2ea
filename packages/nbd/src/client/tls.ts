/** The client's side of STARTTLS. @module */
import { connect } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { isIP } from 'node:net'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { PSK_CIPHERS } from '../tls.ts'
import type { NbdCertificates } from '../tls.ts'
import { Transport } from './transport.ts'

/** How a client proves who the server is, and who it is itself. */
export type NbdClientTls =
  | (NbdCertificates & {
      /** Name that the server's certificate must carry. @default the host of the address, `localhost` for unix sockets */
      readonly serverName?: string
      /** False accepts any certificate: only for tests. @default true */
      readonly isPeerVerified?: boolean
    })
  | { readonly psk: { readonly identity: string; readonly key: Bytes } }

/**
 * Puts TLS over a transport whose STARTTLS was acknowledged.
 *
 * @throws GranaryError `GRANARY_AUTHENTICATION` when the handshake fails or the server is not who it should be
 */
export const startTls = async (
  plain: Transport,
  tls: NbdClientTls,
  { host, signal }: { readonly host: string; readonly signal: AbortSignal },
): Promise<Transport> => {
  signal.throwIfAborted()
  const socket = connect({
    ...('psk' in tls ? pskOptions(tls.psk) : certificateOptions(tls, host)),
    socket: plain.release(),
    minVersion: 'TLSv1.2',
  })
  try {
    await secured(socket, signal)
    if ('psk' in tls && !socket.getCipher().name.includes('PSK'))
      throw new Error(`the server chose ${socket.getCipher().name} over the pre-shared key`)
  } catch (cause) {
    socket.on('error', () => {}).destroy()
    signal.throwIfAborted()
    throw new GranaryError(
      'GRANARY_AUTHENTICATION',
      `NBD: TLS with ${plain.name} failed: ${(cause as Error).message}`,
      {
        cause,
        detail: { peer: plain.name },
      },
    )
  }
  return new Transport(socket, plain.name)
}

const certificateOptions = (tls: Exclude<NbdClientTls, { psk: unknown }>, host: string): ConnectionOptions => {
  const serverName = tls.serverName ?? host
  return {
    ca: [pem(tls.ca)],
    ...(tls.cert === undefined ? {} : { cert: pem(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: pem(tls.key) }),
    host: serverName,
    // RFC 6066, section 3: an address is no server name.
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    rejectUnauthorized: tls.isPeerVerified ?? true,
  }
}

const pskOptions = ({ identity, key }: { identity: string; key: Bytes }): ConnectionOptions => ({
  ca: [],
  ciphers: PSK_CIPHERS,
  maxVersion: 'TLSv1.2',
  pskCallback: () => ({ identity, psk: key }),
  // No certificate comes: the key is the proof. `startTls` checks that it was used.
  checkServerIdentity: () => undefined,
})

const pem = (text: string | Bytes): string | Buffer => (typeof text === 'string' ? text : Buffer.from(text))

const secured = async (socket: TLSSocket, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      signal.removeEventListener('abort', onAbort)
      socket.off('secureConnect', onSecure).off('error', settle).off('close', onClose)
      if (error === undefined) resolve()
      else reject(error as Error)
    }
    const onSecure = (): void => settle()
    const onAbort = (): void => settle(signal.reason)
    const onClose = (): void => settle(new Error('the server closed the connection'))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('secureConnect', onSecure).once('error', settle).once('close', onClose)
  })
