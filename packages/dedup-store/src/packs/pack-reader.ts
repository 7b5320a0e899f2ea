/**
 * Opens packs: the footer proves that a pack exists and says what is in it; blobs are opened by their entry.
 *
 * @see docs/formats/repository.md, "Packs"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { createKeyedHasher, decompress, decompressInto, unwrapDataKey } from '@granary/transform'
import type { Sealer, SealingKeys } from '@granary/transform'
import type { Backend } from '../backends/backend.ts'
import { decodeHeader } from '../format/header.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import { namingObject, openObjectKeys } from '../format/sealed-object.ts'
import {
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

/** A pack whose header and footer have been read and found right. */
export interface OpenPack {
  readonly key: string
  readonly type: PackType
  readonly uid: Bytes
  readonly entries: readonly PackEntry[]
  readonly prelude: Bytes
  readonly sealer: Sealer
  /** What `sealer` was made of, for another thread. */
  readonly seal: PackSealing
}

/** Enough to open a pack's blobs elsewhere. Plain data, secret. */
export interface PackSealing {
  readonly suite: number
  readonly keys: SealingKeys
}

/** A pack as far as opening its blobs needs it. */
export type BlobSource = Pick<OpenPack, 'key' | 'type' | 'prelude' | 'sealer'>

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
  const { type, prelude, sealer, seal } = openPrelude(keys, key, start)
  const trailer = await backend.get(key, { offset: packBytes - TRAILER_BYTES, length: TRAILER_BYTES, signal })
  const { footerLength, entries } = decodeTrailer(trailer, packBytes, key)
  const footerOffset = packBytes - TRAILER_BYTES - footerLength
  const sealed = await backend.get(key, { offset: footerOffset, length: footerLength, signal })
  const footer = namingObject(key, () =>
    sealer.open(FOOTER_ORDINAL, footerAssociated(type, prelude, entries, footerLength), sealed),
  )
  return {
    key,
    type,
    uid: prelude.slice(PACK_AT.uid, PACK_AT.domain),
    entries: decodeEntries(footer, prelude.length, footerOffset, key),
    prelude,
    sealer,
    seal,
  }
}

const truncated = (key: string, sizeBytes: number): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `${key}: ${sizeBytes} bytes are too few for a pack`, {
    detail: { object: key, sizeBytes },
  })

/** Header and key envelope: gives the means to open what follows. */
const openPrelude = (
  keys: RepositoryKeys,
  key: string,
  start: Bytes,
): Pick<OpenPack, 'type' | 'prelude' | 'sealer' | 'seal'> => {
  const header = decodeHeader(start, key)
  if (header.type !== 'dataPack' && header.type !== 'mapPack') {
    throw new GranaryError('GRANARY_CORRUPT', `${key}: expected a pack, found ${header.type}`, {
      detail: { object: key },
    })
  }
  const view = new DataView(start.buffer, start.byteOffset, start.length)
  const envelopeLength = view.getUint16(PACK_AT.envelopeLength, true)
  if (envelopeLength > MAX_ENVELOPE_BYTES || PACK_AT.envelope + envelopeLength > start.length)
    throw truncated(key, start.length)
  const prelude = start.slice(0, PACK_AT.envelope + envelopeLength)
  const domainKey = namingObject(key, () =>
    header.type === 'mapPack'
      ? keys.mapKey(header.generation)
      : unwrapDataKey(
          keys.wrapKey(header.generation),
          prelude.subarray(PACK_AT.envelope),
          prelude.subarray(PACK_AT.domain, PACK_AT.envelopeLength),
        ),
  )
  return { type: header.type, prelude, ...openObjectKeys(header, domainKey, key) }
}

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
