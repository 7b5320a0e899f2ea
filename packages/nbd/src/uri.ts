/**
 * NBD URIs: nbd://HOST:PORT/EXPORT, nbds://…, nbd+unix:///EXPORT?socket=PATH, nbds+unix://….
 *
 * @see NetworkBlockDevice/nbd, doc/uri.md
 * @module
 */
import { GranaryError } from '@granary/core'
import type { NbdAddress } from './address.ts'
import { DEFAULT_PORT } from './protocol/constants.ts'

export interface NbdUri {
  readonly address: NbdAddress
  /** "" is the default export. */
  readonly exportName: string
  /** True for nbds: TLS, never plain. */
  readonly isTls: boolean
  /** User part: the identity of a pre-shared key. */
  readonly user?: string
  /** Folder of ca-cert.pem, client-cert.pem, client-key.pem. */
  readonly tlsCertificates?: string
  /** File of `identity:hexkey` lines. */
  readonly tlsPskFile?: string
  /** Name to look for in the server's certificate. */
  readonly tlsHostname?: string
  /** False only when the URI says `tls-verify-peer=0`. */
  readonly isPeerVerified: boolean
}

const SCHEME = /^(nbds?)(?:\+(unix))?:\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/

/** Query keys, and whether they belong to TLS. `tls-type` only names what the other keys and the server's set-up decide. */
const QUERY_KEYS: Readonly<Record<string, 'socket' | 'tls'>> = {
  socket: 'socket',
  'tls-type': 'tls',
  'tls-certificates': 'tls',
  'tls-psk-file': 'tls',
  'tls-hostname': 'tls',
  'tls-verify-peer': 'tls',
  'tls-username': 'tls',
}

/** True when the text has a scheme that `parseNbdUri` reads. */
export const isNbdUri = (text: string): boolean => /^nbds?(\+unix)?:/.test(text)

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the text is no NBD URI, or has what this version does not know */
export const parseNbdUri = (text: string): NbdUri => {
  const match = SCHEME.exec(text)
  if (match === null) throw invalid('expected nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH', text)
  const [, scheme, unix, authority = '', path = '', queryText = ''] = match
  const isTls = scheme === 'nbds'
  const query = parseQuery(queryText, text)
  const at = authority.lastIndexOf('@')
  const user = at < 0 ? query.get('tls-username') : decode(authority.slice(0, at), text)
  const host = authority.slice(at + 1)
  for (const key of query.keys())
    if (QUERY_KEYS[key] === 'tls' && !isTls) throw invalid(`${key} needs the scheme nbds`, text)
  if (!['x509', 'psk', undefined].includes(query.get('tls-type')))
    throw invalid('tls-type is neither x509 nor psk: TLS without authentication is not offered', text)
  return {
    address: unix === undefined ? tcpAddress(host, query, text) : unixAddress(host, query, text),
    // One slash separates; a second one belongs to the name.
    exportName: decode(path.slice(1), text),
    isTls,
    isPeerVerified: parseVerify(query.get('tls-verify-peer'), text),
    ...optional('user', user),
    ...optional('tlsCertificates', query.get('tls-certificates')),
    ...optional('tlsPskFile', query.get('tls-psk-file')),
    ...optional('tlsHostname', query.get('tls-hostname')),
  }
}

/** The URI of an export, without anything about keys. */
export const formatNbdUri = ({
  address,
  exportName,
  isTls,
}: Pick<NbdUri, 'address' | 'exportName' | 'isTls'>): string => {
  const scheme = isTls ? 'nbds' : 'nbd'
  const name = exportName.split('/').map(encodeURIComponent).join('/')
  if (address.kind === 'unix') return `${scheme}+unix:///${name}?socket=${encodePath(address.path)}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${scheme}://${host}${address.port === DEFAULT_PORT ? '' : `:${address.port}`}/${name}`
}

const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/')

const tcpAddress = (authority: string, query: ReadonlyMap<string, string>, text: string): NbdAddress => {
  if (query.has('socket')) throw invalid('socket= needs the scheme nbd+unix', text)
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(authority)
  if (match === null) throw invalid('the host is malformed (an IPv6 address goes in brackets)', text)
  const port = match[3] === undefined || match[3] === '' ? DEFAULT_PORT : Number(match[3])
  if (port < 1 || port > 65535) throw invalid('the port is not in 1..65535', text)
  return { kind: 'tcp', host: decode(match[1] ?? match[2] ?? '', text) || 'localhost', port }
}

const unixAddress = (authority: string, query: ReadonlyMap<string, string>, text: string): NbdAddress => {
  const path = query.get('socket')
  if (path === undefined || path === '') throw invalid('nbd+unix needs ?socket=PATH', text)
  if (authority !== '') throw invalid('nbd+unix takes no host', text)
  if (path.indexOf('\0', 1) > 0) throw invalid('the socket path has a NUL', text)
  return { kind: 'unix', path }
}

const parseQuery = (queryText: string, text: string): Map<string, string> => {
  const query = new Map<string, string>()
  for (const pair of queryText.split(/[&;]/).filter(Boolean)) {
    const [key = '', ...value] = pair.split('=')
    if (QUERY_KEYS[key] === undefined) throw invalid(`the query key ${key} is unknown`, text)
    if (query.has(key)) throw invalid(`the query key ${key} comes twice`, text)
    query.set(key, decode(value.join('='), text))
  }
  return query
}

const parseVerify = (value: string | undefined, text: string): boolean => {
  if (value === undefined || /^(1|true|yes|on)$/i.test(value)) return true
  if (/^(0|false|no|off)$/i.test(value)) return false
  throw invalid('tls-verify-peer is neither 0 nor 1', text)
}

const optional = <Key extends string>(key: Key, value: string | undefined): Partial<Record<Key, string>> =>
  value === undefined ? {} : ({ [key]: value } as Record<Key, string>)

const decode = (part: string, text: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid('a percent escape is malformed', text)
  }
}

const invalid = (why: string, uri: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `NBD URI ${uri}: ${why}`, { detail: { uri } })
