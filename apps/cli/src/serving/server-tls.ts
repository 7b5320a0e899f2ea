/** What clients of `granary serve` must hold: a certificate of an authority, or one of the keys in a file. @module */
import { GranaryError } from '@granary/core'
import { readNbdCertificates, readNbdPskFile } from '@granary/nbd'
import type { NbdServerTls } from '@granary/nbd'

export interface ServerTlsFiles {
  /** A folder of ca-cert.pem, server-cert.pem and server-key.pem. */
  readonly certificates: string | undefined
  /** A file of `identity:hexkey` lines. */
  readonly pskFile: string | undefined
}

/**
 * Reads whichever is given; undefined when neither is.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when both are; as `readNbdCertificates` and `readNbdPskFile` do;
 *   `GRANARY_NOT_FOUND` when the file holds no key
 */
export const readServerTls = async ({ certificates, pskFile }: ServerTlsFiles): Promise<NbdServerTls | undefined> => {
  if (certificates !== undefined && pskFile !== undefined)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', '--tls-certificates and --tls-psk-file exclude each other')
  if (certificates !== undefined) {
    const { ca, cert, key } = await readNbdCertificates(certificates, 'server')
    if (cert !== undefined && key !== undefined) return { ca, cert, key }
    throw new GranaryError('GRANARY_NOT_FOUND', `${certificates} has no server-cert.pem or no server-key.pem`)
  }
  if (pskFile === undefined) return undefined
  const psk = await readNbdPskFile(pskFile)
  if (psk.size > 0) return { psk }
  throw new GranaryError('GRANARY_NOT_FOUND', `${pskFile} holds no key: nobody could get in`, {
    hint: `psktool --username alice --pskfile ${pskFile} makes one`,
  })
}
