/** The server's side of STARTTLS. @module */
import { createServer } from 'node:tls'
import type { TLSSocket, TlsOptions } from 'node:tls'
import type { Bytes } from '@granary/core'
import { protocolError } from '../protocol/fields.ts'
import { PSK_CIPHERS } from '../tls.ts'
import type { NbdCertificates, NbdPskKeys } from '../tls.ts'
import { Wire } from './wire.ts'

/** Who the server is, and who its clients must be. */
export type NbdServerTls = (
  | (Required<NbdCertificates> & {
      /** False lets in clients without a certificate. @default true */
      readonly isPeerVerified?: boolean
    })
  | { readonly psk: NbdPskKeys }
) & {
  /** False also serves clients that do not ask for TLS. @default true */
  readonly isRequired?: boolean
}

/**
 * Puts TLS over a wire. The acknowledgement of STARTTLS must have been written, and nothing may be left to read.
 *
 * @throws GranaryError `GRANARY_PROTOCOL` when the handshake fails or the client is not who it should be
 */
export const acceptTls = async (plain: Wire, tls: NbdServerTls): Promise<Wire> => {
  const server = createServer({
    ...('psk' in tls ? pskOptions(tls.psk) : certificateOptions(tls)),
    minVersion: 'TLSv1.2',
  })
  const stream = plain.release()
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const fail = (error?: Error): void => {
      stream.destroy()
      reject(protocolError(`TLS with a client failed: ${error?.message ?? 'it left'}`))
    }
    server.once('secureConnection', resolve).once('tlsClientError', fail)
    stream.once('close', fail)
    server.emit('connection', stream)
  })
  return new Wire(socket)
}

const certificateOptions = (tls: Exclude<NbdServerTls, { psk: unknown }>): TlsOptions => ({
  ca: [pem(tls.ca)],
  cert: pem(tls.cert),
  key: pem(tls.key),
  requestCert: tls.isPeerVerified ?? true,
  rejectUnauthorized: tls.isPeerVerified ?? true,
})

const pskOptions = (keys: NbdPskKeys): TlsOptions => ({
  ciphers: PSK_CIPHERS,
  maxVersion: 'TLSv1.2',
  pskCallback: (_socket: TLSSocket, identity: string) => keys.get(identity) ?? null,
})

const pem = (text: string | Bytes): string | Buffer => (typeof text === 'string' ? text : Buffer.from(text))
