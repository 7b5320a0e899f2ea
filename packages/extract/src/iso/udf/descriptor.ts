/**
 * What all descriptors of ECMA-167 and UDF 1.02 are made of: tags, times, identifiers, text.
 *
 * @see ECMA-167, parts 1 and 3; UDF 1.02, section 2.1
 * @module
 */
import type { Bytes } from '@granary/core'
import { dateOf } from '../fields.ts'

/** Tag identifiers (ECMA-167, 3/7.2.1 and 4/7.2.1). */
export const TAG = {
  primaryVolume: 1,
  anchor: 2,
  implementationUse: 4,
  partition: 5,
  logicalVolume: 6,
  unallocatedSpace: 7,
  terminating: 8,
  integrity: 9,
  fileSet: 256,
  fileIdentifier: 257,
  fileEntry: 261,
} as const

const TAG_BYTES = 16

/** UDF 2.2: descriptors of NSR02 have version 2. */
const DESCRIPTOR_VERSION = 2

const UDF_REVISION = 0x0102

/** Writes the tag in front of a descriptor whose other fields are all set (3/7.2). */
export const setTag = (bytes: Bytes, tag: number, location: number): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const body = bytes.subarray(TAG_BYTES)
  view.setUint16(0, tag, true)
  view.setUint16(2, DESCRIPTOR_VERSION, true)
  view.setUint16(8, crc16(body), true)
  view.setUint16(10, body.length, true)
  view.setUint32(12, location, true)
  let sum = 0
  for (let i = 0; i < TAG_BYTES; i++) if (i !== 4) sum += bytes[i] as number
  bytes[4] = sum & 0xff
}

/** The polynomial x^16 + x^12 + x^5 + 1, from zero (3/7.2.6). */
const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

const crc16 = (bytes: Bytes): number => {
  let crc = 0
  for (let i = 0; i < bytes.length; i++)
    crc = ((crc << 8) & 0xffff) ^ (CRC_TABLE[(crc >> 8) ^ (bytes[i] as number)] as number)
  return crc
}

/** 12 bytes, UTC, to the microsecond (1/7.3). */
export const timestamp = (ns: bigint): Bytes => {
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  const date = dateOf(ns)
  view.setUint16(0, 0x1000, true) // Type 1, local time, 0 minutes from UTC.
  view.setInt16(2, Math.min(Math.max(date.getUTCFullYear(), 1), 9999), true)
  bytes.set(
    [date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()],
    4,
  )
  const microseconds = Number(((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n) / 1000
  bytes[9] = Math.floor(microseconds / 10_000)
  bytes[10] = Math.floor(microseconds / 100) % 100
  bytes[11] = Math.floor(microseconds) % 100
  return bytes
}

/** A regid of 32 bytes (1/7.4): flags, 23 characters, and a suffix by the kind of identifier (UDF 2.1.4.3). */
const entity = (identifier: string, suffix: readonly number[]): Bytes => {
  const bytes = new Uint8Array(32)
  bytes.set(Buffer.from(identifier, 'latin1'), 1)
  bytes.set(suffix, 24)
  return bytes
}

const revision = [UDF_REVISION & 0xff, UDF_REVISION >> 8]

/** Domain flags: hard and soft write protection. */
export const domainId = (): Bytes => entity('*OSTA UDF Compliant', [...revision, 3])

export const implementationId = (): Bytes => entity('*Granary', [])

export const udfEntity = (identifier: string): Bytes => entity(identifier, revision)

export const plainEntity = (identifier: string): Bytes => entity(identifier, [])

/** The only character set of UDF (2.1.2). */
export const characterSet = (): Bytes => {
  const bytes = new Uint8Array(64)
  bytes.set(Buffer.from('OSTA Compressed Unicode', 'latin1'), 1)
  return bytes
}

/** All of it is below 256, so that one byte a character is enough. */
export const isLatin1 = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false
  return true
}

/** OSTA compressed Unicode (UDF 2.1.1): one byte a character where all are below 256, else two, in big-endian order. */
export const compressedUnicode = (text: string): Bytes => {
  const isNarrow = isLatin1(text)
  const units = isNarrow ? Buffer.from(text, 'latin1') : Buffer.from(text, 'utf16le').swap16()
  return Buffer.concat([Uint8Array.of(isNarrow ? 8 : 16), units])
}

/** A dstring of fixed length, whose last byte says how much of it is used (1/7.2.12). */
export const dstring = (text: string, length: number): Bytes => {
  const bytes = new Uint8Array(length)
  const isNarrow = isLatin1(text)
  const room = isNarrow ? length - 2 : Math.floor((length - 2) / 2)
  const content = compressedUnicode(text.slice(0, room))
  bytes.set(content)
  bytes[length - 1] = text === '' ? 0 : content.length
  if (text === '') bytes[0] = 0
  return bytes
}

/** A place in the partition, 16 bytes (4/14.14.2); the unique id stands where UDF 2.3.4.3 wants it. */
export const longAllocation = (lengthBytes: number, block: number, uniqueId = 0): Bytes => {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, lengthBytes, true)
  view.setUint32(4, block, true)
  view.setUint32(12, uniqueId, true)
  return bytes
}
