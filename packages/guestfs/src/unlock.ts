/** Keys of containers that a guest has encrypted. @module */
import type { AbortOptions, Bytes } from '@granary/core'

/** A key for one container; several may be given, and are tried in their order. */
export interface UnlockKey {
  /** Id or UUID of the volume. */
  readonly volume: string
  /** The passphrase or the content of the key file, as bytes. */
  readonly key: Bytes
}

/** Argon2 of RFC 9106, version 1.3, which Node has not: an application hands it in. */
export type Argon2 = (request: {
  readonly variant: 'argon2i' | 'argon2id'
  readonly password: Bytes
  readonly salt: Bytes
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
  readonly lengthBytes: number
}) => Promise<Bytes>

/** A block cipher with blocks of 16 bytes and its key: whole blocks, each on its own, into new arrays. */
export interface KeyedBlockCipher {
  encrypt(blocks: Bytes): Bytes
  decrypt(blocks: Bytes): Bytes
}

/**
 * Ciphers that OpenSSL has not (Serpent, Twofish): an application hands them in.
 *
 * @param name as dm-crypt has it, such as `serpent`
 * @returns undefined when there is no such cipher for a key of this length
 */
export type BlockCiphers = (name: string, key: Bytes) => KeyedBlockCipher | undefined

export interface UnlockOptions extends AbortOptions {
  /** Without them, volumes can be read that OpenSSL has the cipher for. */
  readonly blockCiphers?: BlockCiphers | undefined
  /** Without it, keys that are derived by Argon2 can't be. */
  readonly argon2?: Argon2 | undefined
}
