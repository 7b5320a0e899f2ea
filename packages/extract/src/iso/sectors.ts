/** The grid of an ISO image. @module */
import type { Bytes } from '@granary/core'

/** Logical sector and logical block, of ISO 9660 and of UDF: bytes. */
export const SECTOR_BYTES = 2048

/** Sectors that hold so many bytes. */
export const sectorsOf = (bytes: number): number => Math.ceil(bytes / SECTOR_BYTES)

/** Puts the parts one behind the other, each from a sector's start. */
export const inSectors = (parts: readonly Bytes[], sectors: number): Bytes => {
  const bytes = new Uint8Array(sectors * SECTOR_BYTES)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += sectorsOf(part.length) * SECTOR_BYTES
  }
  return bytes
}
