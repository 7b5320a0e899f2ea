/** Names of sessions, packs and objects. @module */
import { randomBytes } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

/** Bytes of a chunk id or a map node id: a keyed BLAKE3-256. */
export const ID_BYTES = 32

/** Bytes of an id that index segments keep. */
export const PREFIX_BYTES = 16

/** A fresh session id: 128 random bits, hexadecimal. It also names the snapshot the session commits. */
export const createSessionId = (random: (length: number) => Bytes = randomBytes): string =>
  Buffer.from(random(16)).toString('hex')

const SESSION_ID = /^[0-9a-f]{32}$/

export const isSessionId = (text: string): boolean => SESSION_ID.test(text)

/** A key for maps in memory: one character a byte, cheaper than hexadecimal. */
export const keyOfId = (bytes: Bytes, offset = 0, length = ID_BYTES): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1')

export const hexOfId = (id: Bytes): string => Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex')

/** @throws GranaryError `GRANARY_CORRUPT` when the text isn't a 32-byte id */
export const idOfHex = (text: string): Bytes => {
  if (/^[0-9a-f]{64}$/.test(text)) return new Uint8Array(Buffer.from(text, 'hex'))
  throw new GranaryError('GRANARY_CORRUPT', `expected an id of 64 hexadecimal digits, found ${text.length} characters`)
}

/** A pack: who wrote it, and the how-manieth of that writer. */
export interface PackName {
  readonly sid: string
  readonly number: number
}

export const packKey = ({ sid, number }: PackName): string => `packs/${sid}-${number}`

/** The pack a key of `packs/` names, or undefined when it names none. */
export const packOfKey = (key: string): PackName | undefined => {
  const match = /^packs\/([0-9a-f]{32})-(0|[1-9]\d{0,8})$/.exec(key)
  return match === null ? undefined : { sid: match[1] as string, number: Number(match[2]) }
}

/** The session that wrote `index/<sid>-<n>`. */
export const sessionOfSegment = (key: string): string | undefined => /^index\/([0-9a-f]{32})-\d{1,9}$/.exec(key)?.[1]
