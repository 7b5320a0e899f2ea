/** Counter mode from one place to another, under a key whose schedule is done once. @module */
import { createCipheriv } from 'node:crypto'
import type { Bytes } from '@granary/core'
import { keyCipher } from '../ciphers/block-cipher.ts'
import type { KeyedCipher } from '../ciphers/block-cipher.ts'
import { opensslName } from '../ciphers/openssl.ts'
import { cipherByName } from '../ciphers/table.ts'
import { withWorkspace } from '../ciphers/workspace.ts'
import { transformInto } from './sealer.ts'

/** Copied into the workspace at a time: a whole number of blocks, and small enough to stay in the processor's first cache. */
const PIECE_BYTES = 16 * 1024

/** Writes `source` XOR the key stream E(counter), E(counter + 1), ... to the start of `target`. */
export type KeyStream = (counter: Bytes, source: Bytes, target: Bytes) => void

/** Names a cipher of the table and its sizes, bits. */
export interface CipherVariant {
  readonly cipher: string
  readonly blockBits: number
  readonly keyBits: number
}

/** The key stream of a cipher under `key`, by whichever engine was measured faster. Threefish's tweak is zero. */
export const createKeyStream = ({ cipher, blockBits, keyBits }: CipherVariant, key: Bytes): KeyStream => {
  const spec = cipherByName(cipher)
  const family = spec.openssl?.isFaster === true ? opensslName(spec, keyBits, 'ctr') : undefined
  return family === undefined ? kernelStream(keyCipher(cipher, key, { blockBits })) : opensslStream(family, key.slice())
}

/**
 * The thread's one workspace serves all keys: an expanded key, at most 8 KiB, is copied in for each message, which costs
 * less than half a microsecond, where expanding it anew costs up to a millisecond (Kuznyechik, Twofish).
 */
const kernelStream =
  ({ spec, blockBytes, expandedKey }: KeyedCipher): KeyStream =>
  (counter, source, target) =>
    withWorkspace({ spec, key: expandedKey, dataBytes: PIECE_BYTES }, (kernel, { key, work, data }) => {
      work.bytes.set(counter)
      for (let done = 0; done < source.length; done += PIECE_BYTES) {
        const piece = source.subarray(done, done + PIECE_BYTES)
        data.bytes.set(piece)
        // Beyond the last byte of a message, what is left of its last block is enciphered and dropped.
        kernel.ctr(key.pointer, work.pointer, data.pointer, Math.ceil(piece.length / blockBytes))
        target.set(data.bytes.subarray(0, piece.length), done)
      }
    })

const opensslStream =
  (family: string, key: Bytes): KeyStream =>
  (counter, source, target) =>
    transformInto(createCipheriv(family, key, counter), source, target)
