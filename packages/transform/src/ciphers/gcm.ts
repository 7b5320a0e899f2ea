/** Galois/Counter Mode over any cipher with 128-bit blocks. @see NIST SP 800-38D @module */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { CipherGCMTypes } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { TAG_BYTES, expectTag, joinSealed, lengthBlock, notAuthentic, splitSealed } from './aead.ts'
import type { Aead } from './aead.ts'
import { blockCipherOf, keyCipher } from './block-cipher.ts'
import type { KeyedCipher } from './block-cipher.ts'
import { expectLength, invalid } from './check.ts'
import { wasmStream } from './ctr.ts'
import type { CipherEngine } from './ctr.ts'
import { gf128Of } from './gf128.ts'
import { opensslName } from './openssl.ts'
import { withWorkspace } from './workspace.ts'

/** Most bytes of one message, section 5.2.1.1: the counter has 32 bits. */
const MESSAGE_BYTES_MAX = 2 ** 36 - 32

/** 96 bits: the nonce length that needs no hashing, section 8.2. */
const NONCE_BYTES = 12

export interface GcmOptions {
  /** @default OpenSSL where the runtime's has the cipher in GCM */
  readonly engine?: CipherEngine
}

const checkMessage = (nonce: Bytes, length: number): void => {
  expectLength('nonce', nonce, NONCE_BYTES)
  if (length <= MESSAGE_BYTES_MAX) return
  throw new GranaryError('GRANARY_LIMIT', `a GCM message has at most ${MESSAGE_BYTES_MAX} bytes, got ${length}`, {
    detail: { expected: MESSAGE_BYTES_MAX, got: length },
  })
}

const opensslGcm = (name: string, key: Bytes): Aead => ({
  tagBytes: TAG_BYTES,
  seal(nonce, bytes, associated = new Uint8Array(0)) {
    checkMessage(nonce, bytes.length)
    const cipher = createCipheriv(name as CipherGCMTypes, key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(associated)
    const ciphertext = cipher.update(bytes)
    cipher.final()
    return joinSealed(ciphertext, cipher.getAuthTag())
  },
  open(nonce, sealed, associated = new Uint8Array(0)) {
    const { ciphertext, tag } = splitSealed(sealed)
    checkMessage(nonce, ciphertext.length)
    const cipher = createDecipheriv(name as CipherGCMTypes, key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(associated)
    cipher.setAuthTag(tag)
    const { buffer, byteOffset, length } = cipher.update(ciphertext)
    try {
      cipher.final()
    } catch (cause) {
      throw notAuthentic(cause)
    }
    return new Uint8Array(buffer, byteOffset, length)
  },
})

/** GHASH of associated data and ciphertext, each padded with zeros, and their lengths: section 7.1, steps 4 and 5. */
const hashMessage = (keyed: KeyedCipher, h: Bytes, associated: Bytes, ciphertext: Bytes): Bytes =>
  withWorkspace(
    { spec: keyed.spec, key: h, dataBytes: associated.length + ciphertext.length + 16 },
    (_kernel, { arena, key, work, data }) => {
      const gf128 = gf128Of(arena)
      const hash = work.bytes.subarray(0, 16)
      hash.fill(0)
      for (const part of [associated, ciphertext, lengthBlock(associated, ciphertext)]) {
        for (let done = 0; done < part.length; done += data.bytes.length) {
          const piece = part.subarray(done, done + data.bytes.length)
          const blocks = Math.ceil(piece.length / 16)
          data.bytes.set(piece)
          data.bytes.fill(0, piece.length, blocks * 16)
          gf128.ghash(work.pointer, key.pointer, data.pointer, blocks)
        }
      }
      return hash.slice()
    },
  )

const wasmGcm = (keyed: KeyedCipher): Aead => {
  const h = blockCipherOf(keyed).encrypt(new Uint8Array(16))
  // Block 1 masks the tag, the message begins at block 2: the 32 bits cannot overflow below the limit on its length.
  const streamOf = (nonce: Bytes): ReturnType<typeof wasmStream> => {
    const first = new Uint8Array(16)
    first.set(nonce)
    first[15] = 1
    return wasmStream(keyed, first)
  }
  const tagOf = (nonce: Bytes, associated: Bytes, ciphertext: Bytes): Bytes =>
    streamOf(nonce)(0, hashMessage(keyed, h, associated, ciphertext))
  return {
    tagBytes: TAG_BYTES,
    seal(nonce, bytes, associated = new Uint8Array(0)) {
      checkMessage(nonce, bytes.length)
      const ciphertext = streamOf(nonce)(16, bytes)
      return joinSealed(ciphertext, tagOf(nonce, associated, ciphertext))
    },
    open(nonce, sealed, associated = new Uint8Array(0)) {
      const { ciphertext, tag } = splitSealed(sealed)
      checkMessage(nonce, ciphertext.length)
      expectTag(tagOf(nonce, associated, ciphertext), tag)
      return streamOf(nonce)(16, ciphertext)
    },
  }
}

/**
 * A cipher in GCM with 96-bit nonces and 128-bit tags.
 *
 * @param name a cipher with 128-bit blocks, see `blockCipher`
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the cipher has no such name or key size, or no 128-bit block
 */
export const gcm = (name: string, key: Bytes, { engine }: GcmOptions = {}): Aead => {
  const keyed = keyCipher(name, key, { blockBits: 128 })
  const openssl = opensslName(keyed.spec, key.length * 8, 'gcm')
  if (engine === 'openssl' && openssl === undefined)
    throw invalid(`node:crypto has no ${name} in GCM here`, { argument: 'engine', got: engine })
  return openssl === undefined || engine === 'wasm' ? wasmGcm(keyed) : opensslGcm(openssl, key.slice())
}
