/** What a row of the cipher table says. @module */
import type { Arena, Bytes } from '@granary/core'

/** The exports of a cipher's WebAssembly kernel. Arguments are pointers into its memory and counts of whole blocks. */
export interface BlockKernel {
  /** Where the constant tables stand, in the kernel's own part below the arena. */
  tables(): number
  /** `source` and `target` are apart or the same. */
  encrypt(key: number, source: number, target: number, blocks: number): void
  decrypt(key: number, source: number, target: number, blocks: number): void
  /**
   * XORs the key stream of `blocks` counter blocks into `data`. The counter block stands at the beginning of the work
   * area (`WORK_AREA_BYTES`) and is left at the next one; it wraps as one big-endian integer.
   */
  ctr(key: number, work: number, data: number, blocks: number): void
}

/** A block size and the key sizes that go with it, bits. */
export interface CipherSizes {
  readonly blockBits: number
  readonly keyBits: readonly number[]
}

/** The facts a key schedule needs beside the key. */
export interface ExpandOptions {
  readonly blockBits: number
  /** `tweakBytes` long. */
  readonly tweak: Bytes
}

/** One block cipher. */
export interface BlockCipherSpec {
  readonly name: string
  /** The default block size is that of the key where there is one, else the first. */
  readonly sizes: readonly CipherSizes[]
  /** Length of the tweak, bytes; 0 for ciphers without one. */
  readonly tweakBytes: number
  /** Most bytes `expandKey` writes. */
  readonly expandedBytes: number
  /** Makes the kernel over an arena's memory. Its constant tables are still to be written: see `kernelOf`. */
  readonly instantiate: (arena: Arena) => BlockKernel
  /** The constant tables the kernel reads, at most what its part of memory holds. */
  readonly tables?: () => Bytes
  /** Writes what the kernel reads as "key" into `area` (zero-filled, `expandedBytes` long). `key` is of a legal size. */
  readonly expandKey: (key: Bytes, area: Bytes, options: ExpandOptions) => void
  /** Where node:crypto has this cipher: names there are `family-keyBits-mode`, or `family-mode` for one key size. */
  readonly openssl?: {
    readonly family: string
    /** True where CTR through OpenSSL was measured faster than the kernel: see docs/decisions/0010-ciphers.md. */
    readonly isFaster: boolean
  }
}
