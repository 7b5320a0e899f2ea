/**
 * The header of a slot: one line of JSON in front of the sealed keyring.
 *
 * @see docs/formats/keys.md, "Key slots"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { Kdf } from './kdf.ts'
import { checkKdf } from './kdf.ts'

const FORMAT = 'granary-slot'
const VERSION = 1

/** Longest header line, bytes. */
const MAX_HEADER_BYTES = 4096

/** Longest label, UTF-16 units. */
export const MAX_LABEL_LENGTH = 200

const LINE_FEED = 10

/** The kinds of slots. `escrow`: the keyring is sealed to an X25519 public key. */
export type SlotKind = 'passphrase' | 'key-file' | 'escrow'

export interface SlotHeader {
  readonly kind: SlotKind
  /** What the owner calls it. No control characters. */
  readonly label: string
  /** When it was made, ISO 8601 in UTC. */
  readonly created: string
  /** Current generation of the keyring inside: of several slots the latest is opened. Slots of old have none. */
  readonly generation?: number
  /** Of escrow slots: the X25519 public key, 32 bytes. */
  readonly publicKey?: Bytes
  /** Of passphrase slots. */
  readonly kdf?: Kdf
  /** Salt of the key derivation, of passphrase slots. */
  readonly kdfSalt?: Bytes
}

/** The header line with its line feed: what the sealed keyring is bound to. */
export const encodeSlotHeader = ({ kind, label, created, generation, publicKey, kdf, kdfSalt }: SlotHeader): Bytes => {
  const escrow = publicKey && { publicKey: Buffer.from(publicKey).toString('hex') }
  const derivation = kdf && kdfSalt && { kdf: { ...kdf, salt: Buffer.from(kdfSalt).toString('hex') } }
  const header = { format: FORMAT, version: VERSION, kind, label, created, generation, ...escrow, ...derivation }
  return new TextEncoder().encode(`${JSON.stringify(header)}\n`)
}

/** Length of the header line, its line feed included. @throws GranaryError `GRANARY_CORRUPT` when there is no such line */
export const slotHeaderLength = (bytes: Bytes): number => {
  const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(LINE_FEED)
  if (end === -1) throw corrupt('no header line')
  return end + 1
}

/**
 * Reads a header line.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when it is not one, `GRANARY_UNSUPPORTED` when it is of a newer version or kind
 * @throws GranaryError `GRANARY_LIMIT` when its key derivation would cost more than the bounds
 */
export const decodeSlotHeader = (line: Bytes): SlotHeader => {
  const header = parse(line)
  if (header['format'] !== FORMAT) throw corrupt('another format')
  if (header['version'] !== VERSION) throw unsupported('version', header['version'])
  const { kind, label, created } = header
  if (typeof label !== 'string' || !isLabel(label)) throw corrupt('a label that is not one')
  if (typeof created !== 'string' || !/^[\d:.TZ-]{20,30}$/.test(created)) throw corrupt('a time that is not one')
  const facts = { label, created, ...decodeGeneration(header['generation']) }
  switch (kind) {
    case 'key-file':
      return { kind, ...facts }
    case 'escrow':
      return { kind, ...facts, publicKey: decodePublicKey(header['publicKey']) }
    case 'passphrase':
      return { kind, ...facts, ...decodeKdf(header['kdf']) }
    default:
      throw unsupported('kind', kind)
  }
}

/** True when a label is short enough and holds nothing that would move a terminal's cursor. */
export const isLabel = (label: string): boolean =>
  label.length <= MAX_LABEL_LENGTH && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(label)

const parse = (line: Bytes): Record<string, unknown> => {
  try {
    const header: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line))
    if (typeof header === 'object' && header !== null) return header as Record<string, unknown>
  } catch (cause) {
    throw corrupt('a header that is not JSON', cause)
  }
  throw corrupt('a header that is not an object')
}

const decodeGeneration = (value: unknown): { generation?: number } => {
  if (value === undefined) return {}
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value < 2 ** 32)
    return { generation: value }
  throw corrupt('a generation that is none')
}

const decodePublicKey = (value: unknown): Bytes => {
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return new Uint8Array(Buffer.from(value, 'hex'))
  throw corrupt('a public key that is none')
}

const decodeKdf = (value: unknown): { kdf: Kdf; kdfSalt: Bytes } => {
  if (typeof value !== 'object' || value === null) throw corrupt('no key derivation')
  const { name, salt, ...rest } = value as Record<string, unknown>
  if (typeof salt !== 'string' || !/^(?:[0-9a-f]{2}){16,64}$/.test(salt)) throw corrupt('a salt that is not one')
  const kdfSalt = new Uint8Array(Buffer.from(salt, 'hex'))
  const kdf = readKdf(name, rest)
  checkKdf(kdf)
  return { kdf, kdfSalt }
}

const readKdf = (name: unknown, values: Record<string, unknown>): Kdf => {
  const number = (key: string): number => {
    const value = values[key]
    if (typeof value === 'number') return value
    throw corrupt(`no number ${key}`)
  }
  switch (name) {
    case 'argon2id':
      return { name, memoryKiB: number('memoryKiB'), passes: number('passes'), lanes: number('lanes') }
    case 'scrypt':
      return { name, logN: number('logN'), r: number('r'), p: number('p') }
    default:
      throw unsupported('key derivation', name)
  }
}

const corrupt = (found: string, cause?: unknown): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `key slot: found ${found}`, { detail: { found }, cause })

const unsupported = (field: string, value: unknown): GranaryError =>
  new GranaryError('GRANARY_UNSUPPORTED', `key slot: unknown ${field} ${JSON.stringify(value)?.slice(0, 64)}`, {
    detail: { field },
    hint: 'It was probably written by a newer version: update, and try again.',
  })
