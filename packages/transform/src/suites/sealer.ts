/** What every suite's sealer does around its cipher: accounts of ordinals, room in the target, errors. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { authenticationError, checkOrdinal, createSpending } from './suite.ts'
import type { Sealer, SuiteFacts } from './suite.ts'

/** What a suite does to one message under its keys. */
export interface MessageCipher {
  /** Writes `ciphertext || tag` to the start of `target`, which has the room. */
  seal(ordinal: number, associated: Bytes, plain: Bytes, target: Bytes): void
  /**
   * Writes the plaintext of `ciphertext || tag`, which is at least a tag long, to `target`, which is as long as the plaintext.
   * Gives false, and leaves nothing of it there, when the tag is wrong.
   */
  open(ordinal: number, associated: Bytes, sealed: Bytes, target: Bytes): boolean
}

/** A sealer over a suite's cipher. */
export const createSealer = ({ name, tagBytes, keyLimitBytes }: SuiteFacts, cipher: MessageCipher): Sealer => {
  const spend = createSpending(name, keyLimitBytes)
  const sealInto = (ordinal: number, associated: Bytes, plain: Bytes, target: Bytes): number => {
    const length = plain.length + tagBytes
    if (target.length < length) throw tooSmall(target.length, length)
    spend(ordinal, plain.length)
    cipher.seal(ordinal, associated, plain, target)
    return length
  }
  const openInto = (ordinal: number, associated: Bytes, sealed: Bytes, target: Bytes): number => {
    checkOrdinal(ordinal)
    const length = sealed.length - tagBytes
    if (length < 0) throw authenticationError(name, ordinal, sealed.length)
    if (target.length < length) throw tooSmall(target.length, length)
    if (cipher.open(ordinal, associated, sealed, target.subarray(0, length))) return length
    throw authenticationError(name, ordinal, sealed.length)
  }
  return {
    seal: (ordinal, associated, plain) => {
      const sealed = allocate(plain.length + tagBytes)
      sealInto(ordinal, associated, plain, sealed)
      return sealed
    },
    sealInto,
    open: (ordinal, associated, sealed) => {
      const plain = allocate(Math.max(0, sealed.length - tagBytes))
      openInto(ordinal, associated, sealed, plain)
      return plain
    },
    openInto,
  }
}

/** Memory that is not cleared first, as all of it is about to be written; never a slice of Node's shared pool. */
const allocate = (length: number): Bytes => new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)

const tooSmall = (got: number, expected: number): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `target: expected at least ${expected} bytes, got ${got}`, {
    detail: { argument: 'target', expected, got },
  })

/**
 * Bytes given to OpenSSL at a time. Each piece comes back in a buffer of its own: small ones are served from memory that
 * is in the cache and mapped already, where one for a whole chunk costs a page fault for every 4 KiB.
 */
const PIECE_BYTES = 32 * 1024

/** What createCipheriv and createDecipheriv give that `transformInto` needs. */
interface Piecewise {
  update(bytes: Bytes): Bytes
}

export const transformInto = (cipher: Piecewise, source: Bytes, target: Bytes): void => {
  for (let at = 0; at < source.length; at += PIECE_BYTES) {
    target.set(cipher.update(source.subarray(at, at + PIECE_BYTES)), at)
  }
}
