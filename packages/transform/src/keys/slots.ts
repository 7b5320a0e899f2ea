/**
 * Key slots: a keyring sealed under one secret of its owner, as one small object.
 * `header line || sealed keyring || BLAKE3 of all before (32)`; the header line is what the keyring is bound to.
 *
 * @see docs/formats/keys.md, "Key slots"
 * @module
 */
import { randomBytes } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { constantTimeEqual } from '../constant-time-equal.ts'
import { BLAKE3_BYTES } from '../hash/engine.ts'
import { blake3 } from '../hash/blake3.ts'
import type { Argon2Engine } from './argon2.ts'
import type { Kdf } from './kdf.ts'
import { checkKdf, chooseArgon2Cost, deriveKek } from './kdf.ts'
import type { Keyring } from './keyring.ts'
import { KEY_FILE_BYTES } from './key-file.ts'
import { openWithPrivateKey, sealToPublicKey } from './public-box.ts'
import { decodeKeyring, encodeKeyring, openKeyring, sealKeyring } from './seal-keyring.ts'
import type { SlotHeader } from './slot-header.ts'
import { MAX_LABEL_LENGTH, decodeSlotHeader, encodeSlotHeader, isLabel, slotHeaderLength } from './slot-header.ts'

/** Longest slot, bytes: a keyring of 1024 generations and its header. */
const MAX_SLOT_BYTES = 64 * 1024

const KDF_SALT_BYTES = 32

/** What opens a slot. */
export type Secret =
  /** Text is taken as UTF-8 in Unicode's form NFC, so that it is the same from every keyboard; bytes as they are. */
  | { readonly kind: 'passphrase'; readonly passphrase: string | Bytes }
  /** The 32 bytes of a key file. */
  | { readonly kind: 'key-file'; readonly key: Bytes }
  /** An X25519 private key, 32 bytes. */
  | { readonly kind: 'escrow'; readonly privateKey: Bytes }

/** What a new slot is to open with; for escrow the public key is enough. */
export type NewSecret =
  | Exclude<Secret, { readonly kind: 'escrow' }>
  /** An X25519 public key, 32 bytes. */
  | { readonly kind: 'escrow'; readonly publicKey: Bytes }

export interface CreateSlotOptions {
  /** What the owner calls it: at most 200 characters, none of them a control character. */
  readonly label: string
  /** Key derivation of a passphrase slot. @default Argon2id with a cost measured on this machine, about half a second */
  readonly kdf?: Kdf
  /** When it is made. @default now */
  readonly created?: Date
  /** @default the fastest on this machine */
  readonly argon2?: Argon2Engine
}

/**
 * A new slot that opens with `secret`.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the label or the key is not one, or the passphrase is empty
 * @throws GranaryError `GRANARY_LIMIT` when the key derivation would cost more than the bounds
 */
export const createSlot = async (keyring: Keyring, secret: NewSecret, options: CreateSlotOptions): Promise<Bytes> => {
  const { label, created = new Date(), argon2 } = options
  if (!isLabel(label))
    throw invalid('label', `at most ${MAX_LABEL_LENGTH} characters, none of them a control character`)
  const facts = { label, created: created.toISOString(), generation: keyring.current }
  if (secret.kind === 'key-file') {
    checkLength('key', secret.key, KEY_FILE_BYTES)
    return assemble({ kind: 'key-file', ...facts }, line => sealKeyring(keyring, secret.key, line))
  }
  if (secret.kind === 'escrow') {
    const { publicKey } = secret
    const header = { kind: 'escrow', ...facts, publicKey } as const
    return assemble(header, line => sealToPublicKey(publicKey, line, encodeKeyring(keyring)))
  }
  const passphrase = passphraseBytes(secret.passphrase)
  if (passphrase.length === 0) throw invalid('passphrase', 'at least one character')
  const kdf = options.kdf ?? (await chooseArgon2Cost({ argon2 }))
  checkKdf(kdf)
  const kdfSalt = new Uint8Array(randomBytes(KDF_SALT_BYTES))
  const kek = await deriveKek(passphrase, kdfSalt, kdf, { argon2 })
  return assemble({ kind: 'passphrase', ...facts, kdf, kdfSalt }, line => sealKeyring(keyring, kek, line))
}

/**
 * Checks a slot against its own checksum, which needs no secret, and gives its header.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when a bit of it changed, or it is no slot
 * @throws GranaryError `GRANARY_UNSUPPORTED` when it is of a newer version or kind
 * @throws GranaryError `GRANARY_LIMIT` when its key derivation would cost more than the bounds
 */
export const verifySlot = (bytes: Bytes): SlotHeader => {
  if (bytes.length <= BLAKE3_BYTES || bytes.length > MAX_SLOT_BYTES) throw corrupt(`${bytes.length} bytes`)
  const checksumAt = bytes.length - BLAKE3_BYTES
  const isWhole = constantTimeEqual(blake3(bytes.subarray(0, checksumAt)), bytes.subarray(checksumAt))
  if (!isWhole) throw corrupt('bytes that its checksum does not fit')
  return decodeSlotHeader(bytes.subarray(0, slotHeaderLength(bytes)))
}

export interface OpenSlotOptions {
  /** @default the fastest on this machine */
  readonly argon2?: Argon2Engine
}

/**
 * The keyring in a slot.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` when the secret is not the slot's, or of another kind than the slot
 * @throws GranaryError `GRANARY_AUTHENTICATION` when somebody changed it and made the checksum anew
 * @throws whatever `verifySlot` throws
 */
export const openSlot = async (bytes: Bytes, secret: Secret, { argon2 }: OpenSlotOptions = {}): Promise<Keyring> => {
  const header = verifySlot(bytes)
  const headerLength = slotHeaderLength(bytes)
  const line = bytes.subarray(0, headerLength)
  const sealed = bytes.subarray(headerLength, bytes.length - BLAKE3_BYTES)
  if (secret.kind !== header.kind) throw wrongKind(header.kind, secret.kind)
  if (secret.kind === 'escrow') return decodeKeyring(openWithPrivateKey(secret.privateKey, line, sealed))
  return openKeyring(sealed, await kekOf(header, secret, argon2), line)
}

const assemble = (header: SlotHeader, sealKeyringTo: (line: Bytes) => Bytes): Bytes => {
  const line = encodeSlotHeader(header)
  const body = Buffer.concat([line, sealKeyringTo(line)])
  return new Uint8Array(Buffer.concat([body, blake3(body)]))
}

const kekOf = async (
  header: SlotHeader,
  secret: Exclude<Secret, { kind: 'escrow' }>,
  argon2: Argon2Engine | undefined,
): Promise<Bytes> => {
  if (secret.kind === 'key-file') {
    checkLength('key', secret.key, KEY_FILE_BYTES)
    return secret.key
  }
  const { kdf, kdfSalt } = header as Required<SlotHeader>
  return deriveKek(passphraseBytes(secret.passphrase), kdfSalt, kdf, { argon2 })
}

const passphraseBytes = (passphrase: string | Bytes): Bytes =>
  typeof passphrase === 'string' ? new TextEncoder().encode(passphrase.normalize('NFC')) : passphrase

const wrongKind = (expected: string, got: string): GranaryError =>
  new GranaryError('GRANARY_WRONG_KEY', `this slot opens with a ${expected}, not with a ${got}`, {
    detail: { expected, got },
  })

const invalid = (argument: string, expected: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `${argument}: expected ${expected}`, { detail: { argument, expected } })

const corrupt = (found: string): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `key slot: found ${found}`, { detail: { found } })
