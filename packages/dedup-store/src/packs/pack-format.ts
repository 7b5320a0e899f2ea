/**
 * The layout of a pack: header, key envelope, blobs one after the other, sealed footer, trailer.
 *
 * @see docs/formats/repository.md, "Packs"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { FORMAT_VERSION, HEADER_BYTES, objectTypes } from '../format/header.ts'
import { ID_BYTES } from '../format/ids.ts'
import { PACK_SIGNATURE_BYTES } from './pack-signature.ts'

/** Field offsets, bytes from the start of the pack. Little-endian. */
export const PACK_AT = {
  header: 0, //             80 bytes, see format/header.ts
  uid: HEADER_BYTES, //     16 bytes, random
  domain: 96, //            16 bytes: which data key; zeros in map packs
  envelopeLength: 112, //   u16
  envelope: 114, //         the wrapped data key; empty in map packs
} as const

/** Longest key envelope, bytes: room for the wrapped key and one sealed to a public key. */
export const MAX_ENVELOPE_BYTES = 1024

/** footer length (u32), entries (u32), "GRNYPACK". */
export const TRAILER_BYTES = 16
const TRAILER_MAGIC = Buffer.from('GRNYPACK')

/** The footer's place in the nonce sequence; blobs count from 0. */
export const FOOTER_ORDINAL = 0xffff_ffff

/** A pack ends when it has this many bytes of blobs. */
export const PACK_BYTES = 32 * 1024 * 1024

/** Most blobs in one pack, so that a footer has a bound: 128 MiB of 4 KiB map nodes. */
export const MAX_PACK_ENTRIES = 32_768

/** Bound on what a reader accepts as one blob, bytes: twice the largest chunk, so that no claim can ask for more. */
export const MAX_BLOB_BYTES = 32 * 1024 * 1024

/** Longest tag of a suite, bytes, and room. */
const MAX_TAG_BYTES = 64

/** id 32, sealed length u32, plain length u32, compression u8. */
export const ENTRY_BYTES = ID_BYTES + 9

export type PackType = 'dataPack' | 'mapPack'

/** One blob of a pack, as its footer lists it. */
export interface PackEntry {
  readonly id: Bytes
  /** Offset of the sealed bytes in the pack. */
  readonly offset: number
  readonly sealedLength: number
  readonly plainLength: number
  readonly compression: number
}

/** What binds a blob to its place: version, type, compression, ordinal, lengths, key domain, pack uid. */
export const blobAssociated = (
  type: PackType,
  prelude: Bytes,
  blob: { ordinal: number; compression: number; sealedLength: number; plainLength: number },
): Bytes => {
  const bytes = new Uint8Array(48)
  const view = new DataView(bytes.buffer)
  bytes[0] = FORMAT_VERSION
  bytes[1] = objectTypes[type]
  bytes[2] = blob.compression
  view.setUint32(4, blob.ordinal, true)
  view.setUint32(8, blob.sealedLength, true)
  view.setUint32(12, blob.plainLength, true)
  bytes.set(prelude.subarray(PACK_AT.uid, PACK_AT.envelopeLength), 16)
  return bytes
}

/** What binds the footer: the same, and every byte before the first blob. */
export const footerAssociated = (
  type: PackType,
  prelude: Bytes,
  { sealedLength, plainLength }: { readonly sealedLength: number; readonly plainLength: number },
): Bytes =>
  Buffer.concat([
    blobAssociated(type, prelude, { ordinal: FOOTER_ORDINAL, compression: 0, sealedLength, plainLength }),
    prelude,
  ])

export const encodeEntry = (entry: Omit<PackEntry, 'offset'>, target: Bytes, at: number): void => {
  const view = new DataView(target.buffer, target.byteOffset + at, ENTRY_BYTES)
  target.set(entry.id, at)
  view.setUint32(ID_BYTES, entry.sealedLength, true)
  view.setUint32(ID_BYTES + 4, entry.plainLength, true)
  view.setUint8(ID_BYTES + 8, entry.compression)
}

export const encodeTrailer = (footerLength: number, entries: number): Bytes => {
  const bytes = new Uint8Array(TRAILER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, footerLength, true)
  view.setUint32(4, entries, true)
  bytes.set(TRAILER_MAGIC, 8)
  return bytes
}

/** @throws GranaryError `GRANARY_CORRUPT` when the trailer is none or its numbers can't be */
export const decodeTrailer = (
  bytes: Bytes,
  packBytes: number,
  key: string,
): { footerLength: number; entries: number } => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, TRAILER_BYTES)
  const footerLength = view.getUint32(0, true)
  const entries = view.getUint32(4, true)
  const isWhole =
    TRAILER_MAGIC.equals(bytes.subarray(8)) &&
    entries <= MAX_PACK_ENTRIES &&
    footerLength >= entries * ENTRY_BYTES &&
    footerLength <= entries * ENTRY_BYTES + PACK_SIGNATURE_BYTES + MAX_TAG_BYTES &&
    footerLength + TRAILER_BYTES + PACK_AT.envelope <= packBytes
  if (isWhole) return { footerLength, entries }
  throw new GranaryError('GRANARY_CORRUPT', `${key}: the pack has no valid end; it is truncated or damaged`, {
    detail: { object: key, sizeBytes: packBytes },
  })
}

/**
 * The entries of a footer, with their offsets.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when the blobs don't fill the pack exactly
 */
export const decodeEntries = (footer: Bytes, firstOffset: number, endOffset: number, key: string): PackEntry[] => {
  const view = new DataView(footer.buffer, footer.byteOffset, footer.length)
  const entries: PackEntry[] = []
  let offset = firstOffset
  for (let at = 0; at < footer.length; at += ENTRY_BYTES) {
    const sealedLength = view.getUint32(at + ID_BYTES, true)
    const plainLength = view.getUint32(at + ID_BYTES + 4, true)
    if (plainLength > MAX_BLOB_BYTES || sealedLength > MAX_BLOB_BYTES) break
    entries.push({
      id: footer.slice(at, at + ID_BYTES),
      offset,
      sealedLength,
      plainLength,
      compression: view.getUint8(at + ID_BYTES + 8),
    })
    offset += sealedLength
  }
  if (offset === endOffset && entries.length * ENTRY_BYTES === footer.length) return entries
  throw new GranaryError(
    'GRANARY_CORRUPT',
    `${key}: the footer's blobs end at ${offset}, the footer begins at ${endOffset}`,
    {
      detail: { object: key, expected: endOffset, found: offset },
    },
  )
}
