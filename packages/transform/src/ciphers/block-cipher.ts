/** A block cipher by name, over whole blocks. @module */
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec } from './block-cipher-spec.ts'
import { expectLength, invalid } from './check.ts'
import { cipherByName } from './table.ts'
import { withWorkspace } from './workspace.ts'

export interface BlockCipherOptions {
  /** Block size, bits. @default 128, or for Kalyna and Threefish the size of the key */
  readonly blockBits?: number
  /** Threefish only: 16 bytes. @default zeros */
  readonly tweak?: Bytes
}

/** A keyed block cipher. One block at a time: use a mode (`ctr`, `gcm`, `mgm`) for messages. */
export interface BlockCipher {
  readonly name: string
  readonly blockBytes: number
  /** Each block on its own (ECB). @throws GranaryError `GRANARY_INVALID_ARGUMENT` when there is a broken block */
  encrypt(bytes: Bytes): Bytes
  /** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when there is a broken block */
  decrypt(bytes: Bytes): Bytes
}

/** A cipher with its key schedule done. */
export interface KeyedCipher {
  readonly spec: BlockCipherSpec
  readonly blockBytes: number
  readonly expandedKey: Bytes
}

/**
 * The block size to use for a key.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the cipher has no such block or key size
 */
export const selectBlockBits = (spec: BlockCipherSpec, keyBits: number, blockBits?: number): number => {
  const fitting = spec.sizes.filter(size => blockBits === undefined || size.blockBits === blockBits)
  if (fitting.length === 0) {
    const expected = spec.sizes.map(size => size.blockBits).join(', ')
    throw invalid(`${spec.name}: expected a block of ${expected} bits, got ${blockBits}`, {
      argument: 'blockBits',
      expected,
      got: blockBits ?? 0,
    })
  }
  const taking = fitting.filter(candidate => candidate.keyBits.includes(keyBits))
  const size = taking.find(candidate => candidate.blockBits === keyBits) ?? taking[0]
  if (size !== undefined) return size.blockBits
  const expected = [...new Set(fitting.flatMap(candidate => candidate.keyBits))].join(', ')
  throw invalid(`${spec.name}: expected a key of ${expected} bits, got ${keyBits}`, {
    argument: 'key',
    expected,
    got: keyBits,
  })
}

/** Checks the arguments and runs the key schedule. @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const keyCipher = (name: string, key: Bytes, { blockBits, tweak }: BlockCipherOptions = {}): KeyedCipher => {
  const spec = cipherByName(name)
  const chosenBits = selectBlockBits(spec, key.length * 8, blockBits)
  if (tweak !== undefined) expectLength('tweak', tweak, spec.tweakBytes)
  const expandedKey = new Uint8Array(spec.expandedBytes)
  spec.expandKey(key, expandedKey, { blockBits: chosenBits, tweak: tweak ?? new Uint8Array(spec.tweakBytes) })
  return { spec, blockBytes: chosenBits / 8, expandedKey }
}

/** Runs a kernel's block function over whole blocks. */
const overBlocks = (keyed: KeyedCipher, direction: 'encrypt' | 'decrypt', bytes: Bytes): Bytes => {
  if (bytes.length % keyed.blockBytes !== 0) {
    throw invalid(`expected whole blocks of ${keyed.blockBytes} bytes, got ${bytes.length} bytes`, {
      argument: 'bytes',
      expected: keyed.blockBytes,
      got: bytes.length,
    })
  }
  const result = new Uint8Array(bytes.length)
  const { spec, expandedKey } = keyed
  withWorkspace({ spec, key: expandedKey, dataBytes: bytes.length }, (kernel, { key, data }) => {
    for (let done = 0; done < bytes.length; done += data.bytes.length) {
      const piece = bytes.subarray(done, done + data.bytes.length)
      data.bytes.set(piece)
      kernel[direction](key.pointer, data.pointer, data.pointer, piece.length / keyed.blockBytes)
      result.set(data.bytes.subarray(0, piece.length), done)
    }
  })
  return result
}

/** `blockCipher` for a cipher whose key schedule is done. */
export const blockCipherOf = (keyed: KeyedCipher): BlockCipher => ({
  name: keyed.spec.name,
  blockBytes: keyed.blockBytes,
  encrypt: bytes => overBlocks(keyed, 'encrypt', bytes),
  decrypt: bytes => overBlocks(keyed, 'decrypt', bytes),
})

/**
 * A block cipher under a key.
 *
 * @param name anubis, aria, cast6, camellia, kalyna, kuznyechik, mars, aes (also rijndael), serpent, simon, sm4, speck,
 *   threefish or twofish
 * @param key its size, with `blockBits`, selects the variant. Not kept: may be wiped afterwards.
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the cipher has no such name, key, block or tweak size
 * @example blockCipher('serpent', key).encrypt(block)
 */
export const blockCipher = (name: string, key: Bytes, options: BlockCipherOptions = {}): BlockCipher =>
  blockCipherOf(keyCipher(name, key, options))
