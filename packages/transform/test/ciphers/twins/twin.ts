/** What a twin is: a cipher as its specification reads, a byte or a word at a time, for the fast code to be held against. @module */

export interface TwinOptions {
  readonly blockBytes: number
  readonly tweak: Uint8Array
}

/** Does the key schedule and gives the encryption of one block. */
export type Twin = (key: Uint8Array, options: TwinOptions) => (block: Uint8Array) => Uint8Array

export const at = (list: { readonly [index: number]: number }, i: number): number => list[i] as number

export const xor = (a: Uint8Array, b: { readonly [index: number]: number }): Uint8Array =>
  a.map((byte, i) => byte ^ at(b, i))

export const rotl = (word: number, bits: number): number => {
  const by = bits & 31
  return by === 0 ? word >>> 0 : ((word << by) | (word >>> (32 - by))) >>> 0
}

export const rotr = (word: number, bits: number): number => rotl(word, 32 - (bits & 31))

/** Words of 32 bits, by byte order. */
export const split = (bytes: Uint8Array, isLittle: boolean): number[] => {
  const words: number[] = []
  for (let i = 0; i < bytes.length; i += 4) {
    const four = [...bytes.subarray(i, i + 4)]
    words.push((isLittle ? four.toReversed() : four).reduce((word, byte) => word * 256 + byte, 0))
  }
  return words
}

export const join = (words: readonly number[], isLittle: boolean): Uint8Array =>
  Uint8Array.from(
    words.flatMap(word => {
      const four = [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]
      return isLittle ? four.toReversed() : four
    }),
  )

export const splitLongs = (bytes: Uint8Array): bigint[] => {
  const longs: bigint[] = []
  for (let i = 0; i < bytes.length; i += 8)
    longs.push(bytes.subarray(i, i + 8).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n))
  return longs
}

export const joinLongs = (longs: readonly bigint[]): Uint8Array =>
  Uint8Array.from(longs.flatMap(long => [0n, 8n, 16n, 24n, 32n, 40n, 48n, 56n].map(by => Number((long >> by) & 0xffn))))

export const low64 = (value: bigint): bigint => value & 0xffff_ffff_ffff_ffffn

export const rotl64 = (word: bigint, by: number): bigint =>
  low64((word << BigInt(by & 63)) | (word >> BigInt((64 - by) & 63)))

/** Multiplication in GF(2^8) by shifting and adding from the top bit down. */
export const gf = (polynomial: number): ((a: number, b: number) => number) => {
  const multiply = (a: number, b: number): number => {
    let sum = 0
    for (let bit = 7; bit >= 0; bit--) {
      sum <<= 1
      if (sum > 255) sum ^= polynomial
      if ((b >> bit) & 1) sum ^= a
    }
    return sum
  }
  const table = Array.from({ length: 65_536 }, (_, i) => multiply(i >> 8, i & 255))
  return (a, b) => at(table, (a << 8) | b)
}
