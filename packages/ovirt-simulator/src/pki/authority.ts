/**
 * A private certificate authority, made at the start of a simulator: one like the engine's own, which signs the
 * certificates of the engine, its proxy and the hosts (CONTRACT §1.3).
 *
 * @see RFC 5280
 * @module
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import * as der from './der.ts'

/** A certificate and its key, PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

export interface IssueOptions {
  /** Host names and IPv4 addresses; the first is the subject. */
  readonly names: readonly string[]
  /** Until when, milliseconds since 1970. @default a year from now */
  readonly notAfterMs?: number | undefined
}

export interface Authority {
  /** The certificate of the authority, PEM. */
  readonly cert: string
  issue(options: IssueOptions): Identity
}

const DAY_MS = 86_400_000
const ECDSA_WITH_SHA256 = der.sequence(der.oid('1.2.840.10045.4.3.2'))
const OID = {
  commonName: '2.5.4.3',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const
/** Bits of keyUsage, first bit first: digitalSignature; keyCertSign and cRLSign. */
const USAGE = {
  server: der.bitString(Uint8Array.of(0x80), 7),
  authority: der.bitString(Uint8Array.of(0x06), 1),
} as const

/** Makes an authority called `name`. */
export const createAuthority = (name: string): Authority => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keyId = keyIdOf(keys.publicKey)
  const common = { issuer: name, issuerKey: keys.privateKey }
  const ca = certificate({
    ...common,
    subject: name,
    publicKey: keys.publicKey,
    notAfterMs: Date.now() + 3650 * DAY_MS,
    extensions: [
      extension(OID.basicConstraints, der.sequence(der.boolean(true)), true),
      extension(OID.keyUsage, USAGE.authority, true),
      extension(OID.subjectKeyId, der.octetString(keyId)),
    ],
  })
  return {
    cert: ca,
    issue({ names, notAfterMs = Date.now() + 365 * DAY_MS }) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const cert = certificate({
        ...common,
        subject: names[0] ?? 'localhost',
        publicKey: pair.publicKey,
        notAfterMs,
        extensions: [
          extension(OID.basicConstraints, der.sequence(), true),
          extension(OID.keyUsage, USAGE.server, true),
          extension(OID.extendedKeyUsage, der.sequence(der.oid(OID.serverAuth))),
          extension(OID.subjectAltName, der.sequence(...names.map(altName))),
          extension(OID.subjectKeyId, der.octetString(keyIdOf(pair.publicKey))),
          extension(OID.authorityKeyId, der.sequence(der.implicit(0, keyId))),
        ],
      })
      return { cert, key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
    },
  }
}

interface CertificateOptions {
  readonly subject: string
  readonly issuer: string
  readonly issuerKey: KeyObject
  readonly publicKey: KeyObject
  readonly notAfterMs: number
  readonly extensions: readonly Uint8Array[]
}

const certificate = (options: CertificateOptions): string => {
  const { subject, issuer, issuerKey, publicKey, notAfterMs, extensions } = options
  const notBeforeMs = Math.min(Date.now(), notAfterMs) - DAY_MS
  const body = der.sequence(
    der.explicit(0, der.integer(Uint8Array.of(2))), // version 3
    der.integer(Buffer.concat([Uint8Array.of(1), randomBytes(15)])),
    ECDSA_WITH_SHA256,
    distinguishedName(issuer),
    der.sequence(der.generalizedTime(notBeforeMs), der.generalizedTime(notAfterMs)),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...extensions)),
  )
  const signature = sign('sha256', body, issuerKey)
  const base64 = Buffer.from(der.sequence(body, ECDSA_WITH_SHA256, der.bitString(signature))).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
}

const extension = (id: string, value: Uint8Array, isCritical = false): Uint8Array =>
  der.sequence(der.oid(id), ...(isCritical ? [der.boolean(true)] : []), der.octetString(value))

const distinguishedName = (commonName: string): Uint8Array =>
  der.sequence(der.set(der.sequence(der.oid(OID.commonName), der.utf8String(commonName))))

/** RFC 5280 §4.2.1.6: dNSName is [2], iPAddress is [7]. */
const altName = (name: string): Uint8Array =>
  isIP(name) === 4
    ? der.implicit(7, Uint8Array.from(name.split('.').map(Number)))
    : der.implicit(2, Buffer.from(name, 'latin1'))

/** RFC 5280 §4.2.1.2, method 1. */
const keyIdOf = (key: KeyObject): Uint8Array =>
  createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }).subarray(-65))
    .digest()
