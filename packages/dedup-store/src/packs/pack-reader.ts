/**
 * Opens packs: the footer proves that a pack exists and says what is in it; blobs are opened by their entry.
 *
 * @see docs/formats/repository.md, "Packs"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { createKeyedHasher, decompress, decompressInto } from '@granary/transform'
import type { Sealer } from '@granary/transform'
import type { Backend } from '../backends/backend.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import { namingObject } from '../format/sealed-object.ts'
import { OpenPack } from './open-pack.ts'
import { readPrelude } from './pack-prelude.ts'
import type { PackPrelude } from './pack-prelude.ts'
import {
  ENTRY_BYTES,
  FOOTER_ORDINAL,
  MAX_ENVELOPE_BYTES,
  PACK_AT,
  TRAILER_BYTES,
  blobAssociated,
  decodeEntries,
  decodeTrailer,
  footerAssociated,
} from './pack-format.ts'
import type { PackEntry, PackType } from './pack-format.ts'
import { PACK_SIGNATURE_BYTES } from './pack-signature.ts'

/** A pack as far as opening its blobs needs it. */
export interface BlobSource extends Pick<OpenPack, 'key' | 'type' | 'prelude'> {
  readonly sealer: Sealer
}

/**
 * Reads header, footer and trailer of a pack.
 *
 * @param sizeBytes of the object, when known
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such pack; `GRANARY_CORRUPT`, `GRANARY_AUTHENTICATION` when it is damaged
 */
export const openPack = async (
  backend: Backend,
  keys: RepositoryKeys,
  key: string,
  { signal, sizeBytes }: AbortOptions & { readonly sizeBytes?: number } = {},
): Promise<OpenPack> => {
  const packBytes = sizeBytes ?? (await backend.stat(key, { signal }))?.sizeBytes
  if (packBytes === undefined)
    throw new GranaryError('GRANARY_NOT_FOUND', `${key} is missing`, { detail: { object: key } })
  if (packBytes < PACK_AT.envelope + TRAILER_BYTES) throw truncated(key, packBytes)
  const start = await backend.get(key, { length: Math.min(packBytes, PACK_AT.envelope + MAX_ENVELOPE_BYTES), signal })
  const prelude = readPrelude(keys, key, start)
  if (prelude === undefined) throw truncated(key, packBytes)
  const trailer = await backend.get(key, { offset: packBytes - TRAILER_BYTES, length: TRAILER_BYTES, signal })
  const { footerLength, entries: count } = decodeTrailer(trailer, packBytes, key)
  const footerOffset = packBytes - TRAILER_BYTES - footerLength
  const sealedFooter = await backend.get(key, { offset: footerOffset, length: footerLength, signal })
  const footer = openFooter(prelude, sealedFooter, count)
  const entries = decodeEntries(footer.entries, prelude.bytes.length, footerOffset, key)
  return new OpenPack(prelude, { sealedFooter, entries, plainEntries: footer.entries, signature: footer.signature })
}

/** A signed footer has its key for itself, so that whoever may write can read it; footers of old have that of the blobs. */
const openFooter = (
  prelude: PackPrelude,
  sealed: Bytes,
  count: number,
): { entries: Bytes; signature: Bytes | undefined } => {
  const { key, type, header, bytes } = prelude
  const end = count * ENTRY_BYTES
  const isSigned = header.isSigned === true
  const sealer = isSigned ? prelude.openList() : prelude.openBlobs().sealer
  const plainLength = end + (isSigned ? PACK_SIGNATURE_BYTES : 0)
  const associated = footerAssociated(type, bytes, { sealedLength: sealed.length, plainLength })
  const plain = namingObject(key, () => sealer.open(FOOTER_ORDINAL, associated, sealed))
  return { entries: plain.subarray(0, end), signature: isSigned ? plain.subarray(end) : undefined }
}

const truncated = (key: string, sizeBytes: number): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `${key}: ${sizeBytes} bytes are too few for a pack`, {
    detail: { object: key, sizeBytes },
  })

/** What identifies the plain bytes: chunk ids and map ids are hashes under different keys. */
export interface BlobVerifier {
  digest(type: PackType, plain: Bytes): Bytes
}

export const createBlobVerifier = (keys: RepositoryKeys): BlobVerifier => {
  const chunks = createKeyedHasher(keys.chunkId)
  const maps = createKeyedHasher(keys.mapId)
  return { digest: (type, plain) => (type === 'dataPack' ? chunks : maps).digest(plain) }
}

/** A blob's place in its pack, and what the footer says of it. */
export interface BlobPlace {
  readonly ordinal: number
  readonly entry: PackEntry
}

/**
 * Opens one blob: seal, decompression, then the id is compared, so that nothing wrong is ever given out.
 *
 * @throws GranaryError `GRANARY_AUTHENTICATION` or `GRANARY_CORRUPT`; `detail.object` names the pack
 */
export const openBlob = (pack: BlobSource, place: BlobPlace, sealed: Bytes, verifier: BlobVerifier): Bytes =>
  namingObject(pack.key, () => {
    const { compression, plainLength } = place.entry
    const packed = pack.sealer.open(place.ordinal, associatedOf(pack, place), sealed)
    const plain = decompress(compression, packed, plainLength)
    verify(pack, place, plain, verifier)
    return plain
  })

/** Where `openBlobInto` puts things. */
export interface BlobMemory {
  readonly sealed: Bytes
  /** As long as the blob is plain; after an error its content is undefined. */
  readonly target: Bytes
  /** Overwritten. As long as `sealed`, at least. */
  readonly scratch: Bytes
}

/** The same into given memory. */
export const openBlobInto = (
  pack: BlobSource,
  place: BlobPlace,
  { sealed, target, scratch }: BlobMemory,
  verifier: BlobVerifier,
): void =>
  namingObject(pack.key, () => {
    const length = pack.sealer.openInto(place.ordinal, associatedOf(pack, place), sealed, scratch)
    decompressInto(place.entry.compression, scratch.subarray(0, length), target)
    verify(pack, place, target, verifier)
  })

const associatedOf = ({ type, prelude }: BlobSource, { ordinal, entry }: BlobPlace): Bytes =>
  blobAssociated(type, prelude, { ...entry, ordinal })

const verify = ({ type }: BlobSource, { ordinal, entry }: BlobPlace, plain: Bytes, verifier: BlobVerifier): void => {
  if (Buffer.compare(verifier.digest(type, plain), entry.id) === 0) return
  throw new GranaryError('GRANARY_CORRUPT', `blob ${ordinal} is not what its id says`, { detail: { ordinal } })
}
