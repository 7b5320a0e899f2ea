/**
 * CRC-32C (Castagnoli), as ext4, jbd2, xfs, btrfs and device mapper use it.
 *
 * @see RFC 3720, appendix B.4
 * @module
 */
import type { Bytes } from '@granary/core'

const POLYNOMIAL = 0x82f63b78

/** Four tables: the loop takes four bytes a step. */
const tables = ((): readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array] => {
  const made = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)] as const
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
    made[0][byte] = value >>> 0
  }
  for (let table = 1; table < 4; table++) {
    for (let byte = 0; byte < 256; byte++) {
      const previous = (made[table - 1] as Uint32Array)[byte] as number
      ;(made[table] as Uint32Array)[byte] = ((previous >>> 8) ^ (made[0][previous & 0xff] as number)) >>> 0
    }
  }
  return made
})()

/** The register after `bytes`, starting at `seed`, with no inversion before or after. The kernel's `crc32c(seed, …)`. */
export const crc32cRaw = (seed: number, bytes: Bytes): number => {
  const [t0, t1, t2, t3] = tables
  let crc = seed >>> 0
  let at = 0
  for (const end = bytes.length - 3; at < end; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (t3[crc & 0xff] as number) ^
      (t2[(crc >>> 8) & 0xff] as number) ^
      (t1[(crc >>> 16) & 0xff] as number) ^
      (t0[crc >>> 24] as number)
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 0xff] as number)
  return crc >>> 0
}

/** CRC-32C of `bytes` in its usual form. */
export const crc32c = (bytes: Bytes): number => ~crc32cRaw(0xffffffff, bytes) >>> 0
