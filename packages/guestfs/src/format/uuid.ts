/** UUIDs in their text form. @module */
import type { Bytes } from '@granary/core'

/** 16 bytes in the order of RFC 4122. */
export const uuidText = (bytes: Bytes): string => {
  const hex = Buffer.from(bytes.subarray(0, 16)).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** 16 bytes whose first three fields are little-endian, as GPT and Windows keep them. */
export const guidText = (bytes: Bytes): string =>
  uuidText(Uint8Array.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15], at => bytes[at] as number))
