/** Authenticated encryption of whole messages. @module */
import { timingSafeEqual } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

/** A keyed AEAD cipher. Never use a nonce twice under one key. */
export interface Aead {
  readonly tagBytes: number
  /** Gives ciphertext || tag. @throws GranaryError `GRANARY_INVALID_ARGUMENT` for a nonce of the wrong length */
  seal(nonce: Bytes, bytes: Bytes, associated?: Bytes): Bytes
  /**
   * Gives the plaintext of ciphertext || tag.
   *
   * @throws GranaryError `GRANARY_AUTHENTICATION` when the tag does not match; no plaintext is given out then
   */
  open(nonce: Bytes, sealed: Bytes, associated?: Bytes): Bytes
}

export const TAG_BYTES = 16

export const notAuthentic = (cause?: unknown): GranaryError =>
  new GranaryError('GRANARY_AUTHENTICATION', 'the tag does not match: the bytes were changed, or the key is another', {
    cause,
  })

/** Cuts off the tag. @throws GranaryError `GRANARY_AUTHENTICATION` when there is none */
export const splitSealed = (sealed: Bytes): { ciphertext: Bytes; tag: Bytes } => {
  if (sealed.length < TAG_BYTES) throw notAuthentic()
  return { ciphertext: sealed.subarray(0, -TAG_BYTES), tag: sealed.subarray(-TAG_BYTES) }
}

/** @throws GranaryError `GRANARY_AUTHENTICATION` when the tags differ; takes the same time wherever they do */
export const expectTag = (expected: Bytes, got: Bytes): void => {
  if (!timingSafeEqual(expected, got)) throw notAuthentic()
}

export const joinSealed = (ciphertext: Bytes, tag: Bytes): Bytes => {
  const sealed = new Uint8Array(ciphertext.length + TAG_BYTES)
  sealed.set(ciphertext)
  sealed.set(tag, ciphertext.length)
  return sealed
}

/** The lengths of two byte strings in bits, as two big-endian 64-bit words: the last block of GCM's and MGM's sums. */
export const lengthBlock = (first: Bytes, second: Bytes): Bytes => {
  const block = new Uint8Array(16)
  const view = new DataView(block.buffer)
  view.setBigUint64(0, BigInt(first.length) * 8n)
  view.setBigUint64(8, BigInt(second.length) * 8n)
  return block
}
