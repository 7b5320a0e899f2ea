/** Counter mode over any cipher of the table. @see NIST SP 800-38A section 6.5 @module */
import { createCipheriv } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { keyCipher } from './block-cipher.ts'
import type { BlockCipherOptions, KeyedCipher } from './block-cipher.ts'
import { expectLength, expectOffset, invalid } from './check.ts'
import { advanceCounter } from './counter.ts'
import { opensslName } from './openssl.ts'
import { withWorkspace } from './workspace.ts'

/** What computes a key stream: both give the same bytes. */
export type CipherEngine = 'wasm' | 'openssl'

export interface CtrOptions extends BlockCipherOptions {
  /** Where in the key stream to begin, bytes. @default 0 */
  readonly offset?: number
  /** @default whichever was measured faster for this cipher */
  readonly engine?: CipherEngine
}

/** A key stream and a place in it. */
export interface Ctr {
  /** Place of the next byte in the key stream, bytes. */
  readonly offset: number
  /** Encrypts or decrypts the next bytes of the message, any number of them. @throws GranaryError `GRANARY_LIMIT` past 2^53 - 1 */
  process(bytes: Bytes): Bytes
  /** Moves to another place of the key stream, bytes. */
  seek(offset: number): void
}

/** Computes key stream from byte `offset` on, XORed into a copy of `bytes`. */
type Stream = (offset: number, bytes: Bytes) => Bytes

const counterAt = (iv: Bytes, block: number): Bytes => {
  const counter = iv.slice()
  advanceCounter(counter, block)
  return counter
}

/** The kernel works on whole blocks: bytes before and after the wanted ones, in the first and last block, are ignored. */
export const wasmStream =
  (keyed: KeyedCipher, iv: Bytes): Stream =>
  (offset, bytes) => {
    const { spec, blockBytes, expandedKey } = keyed
    const dataBytes = bytes.length + 2 * blockBytes
    const result = new Uint8Array(bytes.length)
    withWorkspace({ spec, key: expandedKey, dataBytes }, (kernel, { key, work, data }) => {
      let skip = offset % blockBytes
      work.bytes.set(counterAt(iv, (offset - skip) / blockBytes))
      for (let done = 0; done < bytes.length; skip = 0) {
        const piece = bytes.subarray(done, done + data.bytes.length - skip)
        data.bytes.set(piece, skip)
        kernel.ctr(key.pointer, work.pointer, data.pointer, Math.ceil((skip + piece.length) / blockBytes))
        result.set(data.bytes.subarray(skip, skip + piece.length), done)
        done += piece.length
      }
    })
    return result
  }

const opensslStream =
  (family: string, key: Bytes, iv: Bytes): Stream =>
  (offset, bytes) => {
    const skip = offset % iv.length
    const cipher = createCipheriv(family, key, counterAt(iv, (offset - skip) / iv.length))
    if (skip > 0) cipher.update(new Uint8Array(skip))
    const { buffer, byteOffset, length } = cipher.update(bytes)
    return new Uint8Array(buffer, byteOffset, length)
  }

/** Wraps a stream function with a place in the stream. */
export const ctrOver = (stream: Stream, start: number): Ctr => {
  expectOffset('offset', start)
  let at = start
  return {
    get offset() {
      return at
    },
    process(bytes) {
      if (at + bytes.length > Number.MAX_SAFE_INTEGER) {
        throw new GranaryError('GRANARY_LIMIT', 'the key stream ends at 2^53 - 1 bytes', {
          detail: { offset: at, length: bytes.length },
        })
      }
      const result = stream(at, bytes)
      at += bytes.length
      return result
    },
    seek(offset) {
      expectOffset('offset', offset)
      at = offset
    },
  }
}

/**
 * A cipher in counter mode: key stream E(iv), E(iv + 1), ...; the counter is the whole block, a big-endian integer that wraps.
 * Encrypting and decrypting are the same. Never use a key with the same or overlapping counters twice, and authenticate
 * the ciphertext: this mode alone lets anybody flip bits.
 *
 * @param name see `blockCipher`
 * @param iv the first counter block, one block long
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the cipher has no such name, key, block or tweak size, the iv is
 *   not one block, or the offset is not a whole number
 * @example ctr('twofish', key, iv, { offset: 4096 }).process(ciphertext)
 */
export const ctr = (name: string, key: Bytes, iv: Bytes, options: CtrOptions = {}): Ctr => {
  const { offset = 0, engine, ...variant } = options
  const keyed = keyCipher(name, key, variant)
  expectLength('iv', iv, keyed.blockBytes)
  const family = opensslName(keyed.spec, key.length * 8, 'ctr')
  if (engine === 'openssl' && family === undefined) {
    throw invalid(`node:crypto has no ${name} in CTR here`, { argument: 'engine', got: engine })
  }
  const isOpenssl = engine === undefined ? keyed.spec.openssl?.isFaster === true : engine === 'openssl'
  const start = iv.slice()
  if (isOpenssl && family !== undefined) return ctrOver(opensslStream(family, key.slice(), start), offset)
  return ctrOver(wasmStream(keyed, start), offset)
}
