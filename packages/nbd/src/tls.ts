/**
 * TLS for NBD: X.509 with mutual authentication, or pre-shared keys.
 * File names and layouts are those of QEMU, nbdkit and libnbd, so one folder serves all of them.
 *
 * @see doc/proto.md, "TLS support"; RFC 4279 (PSK), RFC 5489 (ECDHE-PSK)
 * @module
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

/** Certificates, as PEM. */
export interface NbdCertificates {
  /** Authorities that the peer's certificate must descend from. */
  readonly ca: string | Bytes
  readonly cert?: string | Bytes
  readonly key?: string | Bytes
}

/** Keys by identity: at least 16 bytes each. */
export type NbdPskKeys = ReadonlyMap<string, Bytes>

/**
 * PSK suites for TLS 1.2. TLS 1.3 is left out on purpose: there a server could answer with a certificate instead of the key,
 * and a certificate is not what the caller of PSK verifies.
 */
export const PSK_CIPHERS = [
  'ECDHE-PSK-CHACHA20-POLY1305',
  'DHE-PSK-AES256-GCM-SHA384',
  'DHE-PSK-CHACHA20-POLY1305',
  'DHE-PSK-AES128-GCM-SHA256',
  'ECDHE-PSK-AES256-CBC-SHA384',
  'ECDHE-PSK-AES128-CBC-SHA256',
  'PSK-AES256-GCM-SHA384',
  'PSK-AES128-GCM-SHA256',
].join(':')

const MIN_PSK_BYTES = 16
const MAX_PSK_BYTES = 512
const MAX_PSK_FILE_BYTES = 1 << 20

/**
 * Reads ca-cert.pem and, where they are, ROLE-cert.pem and ROLE-key.pem of a folder.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when ca-cert.pem is missing, or a server's certificate or key, or one of a client's pair
 */
export const readNbdCertificates = async (folder: string, role: 'client' | 'server'): Promise<NbdCertificates> => {
  const [ca, cert, key] = await Promise.all([
    readPem(join(folder, 'ca-cert.pem')),
    readPem(join(folder, `${role}-cert.pem`)),
    readPem(join(folder, `${role}-key.pem`)),
  ])
  if (ca === undefined) throw missing(folder, 'ca-cert.pem')
  if (cert !== undefined && key !== undefined) return { ca, cert, key }
  if (cert !== undefined || key !== undefined || role === 'server')
    throw missing(folder, cert === undefined ? `${role}-cert.pem` : `${role}-key.pem`)
  return { ca }
}

/**
 * Reads a file of `identity:hexkey` lines.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when a line is malformed or a key is shorter than 16 bytes (the key is not in the message)
 */
export const readNbdPskFile = async (path: string): Promise<NbdPskKeys> => {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new GranaryError('GRANARY_NOT_FOUND', `cannot read the key file ${path}`, { cause, detail: { path } })
  })
  const keys = new Map<string, Bytes>()
  const lines = text.slice(0, MAX_PSK_FILE_BYTES).split('\n')
  for (const [i, line] of lines.map(raw => raw.trim()).entries()) {
    if (line === '' || line.startsWith('#')) continue
    const at = line.lastIndexOf(':')
    const hex = line.slice(at + 1)
    if (at < 1 || !/^([0-9a-f]{2})+$/i.test(hex) || hex.length < 2 * MIN_PSK_BYTES || hex.length > 2 * MAX_PSK_BYTES)
      throw new GranaryError(
        'GRANARY_CORRUPT',
        `key file ${path}, line ${i + 1}: expected identity:hexkey with ${MIN_PSK_BYTES} to ${MAX_PSK_BYTES} bytes of key`,
        { detail: { path, line: i + 1 } },
      )
    keys.set(line.slice(0, at), Uint8Array.from(Buffer.from(hex, 'hex')))
  }
  return keys
}

const readPem = async (path: string): Promise<Bytes | undefined> => {
  try {
    return await readFile(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new GranaryError('GRANARY_PERMISSION', `cannot read ${path}`, { cause, detail: { path } })
  }
}

const missing = (folder: string, name: string): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', `the certificate folder ${folder} has no ${name}`, { detail: { folder, name } })
