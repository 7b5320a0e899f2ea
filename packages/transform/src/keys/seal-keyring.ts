/**
 * A keyring as bytes: `version (u8) || current (u32) || count (u16) || count times (generation (u32) || root (32))`, big-endian,
 * in a sealed box under a key-encryption key.
 *
 * @see docs/formats/keys.md, "Keyring"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { Keyring, ROOT_KEY_BYTES } from './keyring.ts'
import { openBox, sealBox } from './sealed-box.ts'

const VERSION = 1

/** Field offsets, bytes. */
const AT = { version: 0, current: 1, count: 5, entries: 7 } as const
const ENTRY_BYTES = 4 + ROOT_KEY_BYTES

/** The keyring sealed under a 32-byte key-encryption key, bound to `associated`. */
export const sealKeyring = (keyring: Keyring, kek: Bytes, associated: Bytes): Bytes =>
  sealBox(kek, associated, encodeKeyring(keyring))

/**
 * The keyring that `sealKeyring` sealed.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` when another key sealed it
 * @throws GranaryError `GRANARY_AUTHENTICATION` when it, or `associated`, was changed
 * @throws GranaryError `GRANARY_CORRUPT` or `GRANARY_UNSUPPORTED` when its inside is not a keyring this version reads
 */
export const openKeyring = (sealed: Bytes, kek: Bytes, associated: Bytes): Keyring =>
  decodeKeyring(openBox(kek, associated, sealed))

/** The bytes of a keyring. Secret. */
export const encodeKeyring = ({ generations, current }: Keyring): Bytes => {
  const bytes = new Uint8Array(AT.entries + generations.size * ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint8(AT.version, VERSION)
  view.setUint32(AT.current, current)
  view.setUint16(AT.count, generations.size)
  let at: number = AT.entries
  for (const [generation, root] of generations) {
    view.setUint32(at, generation)
    bytes.set(root, at + 4)
    at += ENTRY_BYTES
  }
  return bytes
}

/** @throws GranaryError `GRANARY_CORRUPT` or `GRANARY_UNSUPPORTED` when it is not a keyring this version reads */
export const decodeKeyring = (bytes: Bytes): Keyring => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length < AT.entries) throw corrupt(`${bytes.length} bytes`)
  const version = view.getUint8(AT.version)
  if (version !== VERSION) {
    throw new GranaryError('GRANARY_UNSUPPORTED', `keyring: version ${version}, this program reads ${VERSION}`, {
      detail: { version },
    })
  }
  const count = view.getUint16(AT.count)
  if (bytes.length !== AT.entries + count * ENTRY_BYTES) throw corrupt(`${count} entries in ${bytes.length} bytes`)
  const generations = new Map<number, Bytes>()
  for (let at: number = AT.entries; at < bytes.length; at += ENTRY_BYTES) {
    generations.set(view.getUint32(at), bytes.slice(at + 4, at + ENTRY_BYTES))
  }
  if (generations.size !== count) throw corrupt('a generation twice')
  try {
    return new Keyring(generations, view.getUint32(AT.current))
  } catch (error) {
    throw corrupt('generations that do not fit', error)
  }
}

const corrupt = (found: string, cause?: unknown): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `keyring: found ${found}`, { detail: { found }, cause })
