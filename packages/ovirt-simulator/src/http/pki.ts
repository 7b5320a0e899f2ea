/** Certificates for anybody who asks: `GET /ovirt-engine/services/pki-resource` (CONTRACT §1.3). @module */
import { X509Certificate } from 'node:crypto'
import { htmlReply } from './reply.ts'
import type { Reply } from './reply.ts'

export interface PkiCertificates {
  /** Of the internal authority, PEM. */
  readonly ca: string
  /** Of the engine itself, PEM: signed by the internal authority, whatever the web server uses. */
  readonly engine: string
}

const FORMATS: Readonly<Record<string, { readonly type: string; readonly text: (pem: string) => string }>> = {
  'X509-PEM': { type: 'application/x-x509-cert', text: pem => pem },
  'X509-PEM-CA': { type: 'application/x-x509-ca-cert', text: pem => pem },
  'OPENSSH-PUBKEY': { type: 'text/plain', text: pem => sshPublicKey(pem) },
}

export const pkiReply = (query: string, { ca, engine }: PkiCertificates): Reply => {
  const { resource = '', format = 'X509-PEM' } = Object.fromEntries(new URLSearchParams(query))
  const pem = new Map([
    ['ca-certificate', ca],
    ['qemu-ca-certificate', ca],
    ['engine-certificate', engine],
  ]).get(resource)
  const shown = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined
  if (pem === undefined || shown === undefined) return htmlReply(400, 'Bad Request')
  return { status: 200, headers: { 'content-type': shown.type }, body: shown.text(pem) }
}

/** The public key of a certificate on P-256, as RFC 5656 §3.1 writes it. */
const sshPublicKey = (pem: string): string => {
  const curve = 'nistp256'
  const name = `ecdsa-sha2-${curve}`
  const point = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
  const blob = Buffer.concat([name, curve, point].flatMap(part => [lengthOf(part), Buffer.from(part)]))
  return `${name} ${blob.toString('base64')} ovirt-engine\n`
}

const lengthOf = (part: string | Uint8Array): Buffer => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(part.length)
  return length
}
